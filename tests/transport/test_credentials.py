from __future__ import annotations

import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tmapi_async import InsecureTransportWarning, InvalidRequestError
from tmapi_async.transport import credentials
from tmapi_async.transport.credentials import (
    account_digest,
    check_base_url,
    check_token,
    warn_if_exposed,
)


@pytest.fixture(autouse=True)
def _nobody_was_warned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Begin each test as a new process does: no warning was given yet."""
    monkeypatch.setattr(credentials, "warned_hosts", set())


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://api.tmapi.top", "api.tmapi.top"),
        ("https://api.tmapi.top/", "api.tmapi.top"),
        ("http://127.0.0.1:8080", "127.0.0.1:8080"),
        ("http://localhost:8080/prefix/", "localhost:8080"),
        ("HTTPS://API.tmapi.top", "api.tmapi.top"),
        ("http://[::1]:8080", "[::1]:8080"),
    ],
)
def test_a_base_url_has_scheme_and_host(url: str, host: str) -> None:
    """A base URL is http or https with a host; messages show host and port."""
    assert check_base_url(url) == host


NO_URLS = (
    "",
    "api.tmapi.top",
    "ftp://h",
    "file:///etc",
    "//h",
    "http://",
    "http:///p",
    "https://:1",
)
BAD_HOSTS = ("http://h:x", "http://h:99999", "http://h:-1", "http://[::1", "http://h:80:90")
SECRETS = (
    "http://user@h",
    "http://u:secret@h",
    "http://h?a=secret",
    "http://h#secret",
    "http://h/?",
)
SPACES = (
    "http://h/a b",
    " http://h",
    "http://h\n",
    "http://h/\r\nX: y",
    "http://h\t",
    "http://ho st",
)
OTHERS = ("http://h/#", "http://@h", "http://h\\@evil", "http://h/\x00", "http://h/\u200b")


@pytest.mark.parametrize(
    "url", [*NO_URLS, *BAD_HOSTS, *SECRETS, *SPACES, *OTHERS, None, 5, b"http://h"]
)
def test_what_is_no_base_url_is_refused(url: object) -> None:
    """An invalid base URL is refused in one line, which shows no part of it."""
    with pytest.raises(InvalidRequestError, match="base URL") as caught:
        check_base_url(url)
    assert str(caught.value).isprintable()
    assert "secret" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


@given(st.text(max_size=30).map("http://h".__add__) | st.text(max_size=30))
def test_any_text_is_a_base_url_or_refused(url: str) -> None:
    """Any text is accepted, or refused by our own error; accepted text has no odd characters."""
    try:
        check_base_url(url)
    except InvalidRequestError:
        return
    assert url.isprintable()
    assert not set(url) & set(" ?#\\")


@pytest.mark.parametrize("token", ["x", "a+b/c=d&e%41?\"<'>\\z~!*()", "t" * 4096])
def test_a_token_is_printable_ascii(token: str) -> None:
    """Any printable ASCII without white space can be a token."""
    assert check_token(token) == token


NO_TOKENS = ("secret s", "secret\n", "\tsecret", "secrét", "secret\x7f", "secret\x00", "s" * 4097)


@pytest.mark.parametrize("token", [*NO_TOKENS, "", None, 5, b"secret", ["secret"]])
def test_what_is_no_token_is_refused_without_showing_it(token: object) -> None:
    """A token that cannot be one is refused, and the message does not show it."""
    with pytest.raises(InvalidRequestError, match="token") as caught:
        check_token(token)
    assert "secr" not in str(caught.value)
    assert "sss" not in str(caught.value)


def warned(url: str) -> list[str]:
    """Return the warnings that a base URL causes."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warn_if_exposed(url)
    assert all(issubclass(w.category, InsecureTransportWarning) for w in caught)
    return [str(w.message) for w in caught]


def test_plain_http_warns_once_for_each_host() -> None:
    """Plain http to a host that is not this machine warns once, whatever the port or path."""
    (text,) = warned("http://api.test:80/a")
    assert "api.test" in text
    assert warned("http://api.test/b") == []
    assert warned("HTTP://API.TEST:81") == []
    assert len(warned("http://other.test")) == 1


LOOPBACK = ("http://127.0.0.1:1", "http://127.9.9.9", "http://[::1]:5", "http://localhost")


@pytest.mark.parametrize(
    "url", [*LOOPBACK, "http://x.localhost:5", "http://LOCALHOST", "https://h"]
)
def test_what_stays_on_this_machine_or_is_hidden_warns_nobody(url: str) -> None:
    """Plain http to this machine, and https to any, gives no warning."""
    assert warned(url) == []


@pytest.mark.parametrize(
    "host", ["10.0.0.1", "localhost.evil.test", "127.0.0.1.evil.test", "[::2]"]
)
def test_hosts_that_only_look_local_warn(host: str) -> None:
    """A host whose name only begins like this machine is another machine."""
    assert len(warned(f"http://{host}")) == 1


def test_an_account_digest_is_stable_and_hides_the_token() -> None:
    """The name of an account is the same in every process, and shows no part of the token."""
    name = account_digest("canary-token")
    assert name == account_digest("canary-token") == "8f7361fc7714253504df1a3b555ba139"
    assert name != account_digest("canary-tokem")
    assert "canary" not in name
