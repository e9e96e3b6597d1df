"""Wrong arguments are refused with a reason before anything is sent."""

from __future__ import annotations

import pytest

from tmapi_async import TMAPI, InvalidRequestError


@pytest.mark.parametrize(
    "ids",
    [
        0,
        -1,
        "x",
        "",
        " ",
        "1.5",
        1.5,
        True,
        None,
        2**63,
        "9" * 30,
        b"123",
        [1, 0],
        [None],
        ["1", "b"],
        "١٢",
    ],
)
def test_ids_that_are_none_are_refused_at_once(ids):
    """An ID that is no positive 64-bit integer is refused when the walk is made."""
    api = TMAPI("sandbox", base_url="http://127.0.0.1:1")
    with pytest.raises(InvalidRequestError):
        api.category_items(ids)


@pytest.mark.parametrize(
    "options",
    [
        {"start_page": 0},
        {"start_page": True},
        {"start_page": 1.0},
        {"max_pages": 0},
        {"max_pages": "3"},
        {"lookahead": -1},
        {"lookahead": "on"},
        {"lookahead": True},
        {"free_shipping": 1},
        {"super_factory": "true"},
    ],
)
def test_options_of_a_walk_that_make_no_sense_are_refused_at_once(options):
    """A bad option is refused when the walk is made, naming it."""
    api = TMAPI("sandbox", base_url="http://127.0.0.1:1")
    with pytest.raises(InvalidRequestError, match=next(iter(options))):
        api.category_items(1, **options)


@pytest.mark.parametrize(
    "options",
    [
        {"concurrency": 0},
        {"concurrency": -1},
        {"concurrency": "many"},
        {"concurrency": 1.5},
        {"concurrency": True},
        {"rate": 0},
        {"rate": -1},
        {"rate": float("nan")},
        {"rate": float("inf")},
        {"rate": 1e-320},
        {"rate": "5"},
        {"rate": True},
        {"lookahead": "on"},
        {"auth": "cookie"},
        {"max_body": 0},
        {"base_url": "ftp://example.com"},
        {"base_url": "example.com"},
        {"base_url": "http://"},
        {"base_url": ""},
        {"base_url": None},
        {"base_url": "http://user:password@127.0.0.1"},
        {"base_url": "http://127.0.0.1/?apiToken=x"},
        {"base_url": "http://127.0.0.1:99999"},
        {"base_url": "http://[::1"},
        {"base_url": "http://exa mple.com"},
        {"base_url": "http://127.0.0.1/a b"},
        {"base_url": "http://127.0.0.1\n.example.com"},
        {"base_url": "http://127.0.0.1/a?"},
        {"base_url": "http://127.0.0.1/#"},
        {"base_url": "http://127.0.0.1\\x"},
    ],
)
def test_options_of_a_client_that_make_no_sense_are_refused_at_once(options):
    """A bad option is refused when the client is made."""
    with pytest.raises(InvalidRequestError):
        TMAPI("sandbox", **options)


@pytest.mark.parametrize("token", ["", None, "two words", "line\nbreak", "unicodé", 5, "x" * 5000])
def test_a_token_that_is_none_is_refused_and_not_shown(token):
    """An impossible token is refused when the client is made. The message does not show it."""
    with pytest.raises(InvalidRequestError) as raised:
        TMAPI(token)
    if token:
        assert str(token) not in str(raised.value)
