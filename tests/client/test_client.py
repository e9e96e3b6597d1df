"""The constructor of a client, and the options that `from_env` takes."""

from __future__ import annotations

import inspect
from typing import get_type_hints

import pytest

from tmapi_async import TMAPI, ClientOptions, InvalidRequestError
from tmapi_async.client.core import ClientCore


@pytest.mark.parametrize("constructor", [TMAPI.__init__, ClientCore.__init__])
def test_from_env_takes_the_options_of_the_constructor(constructor):
    """`ClientOptions` types `from_env`: names and types are those of the constructors."""
    parameters = inspect.signature(constructor).parameters.values()
    names = {p.name for p in parameters if p.kind is inspect.Parameter.KEYWORD_ONLY}
    hints = get_type_hints(constructor)
    assert {name: hints[name] for name in names} == get_type_hints(ClientOptions)


def test_from_env_reads_token_and_host(monkeypatch):
    """The environment gives token and host; an option given wins over the environment."""
    monkeypatch.setenv("TMAPI_TOKEN", "secret")
    monkeypatch.setenv("TMAPI_BASE_URL", "http://127.0.0.1:8080")
    assert TMAPI.from_env().host == "127.0.0.1:8080"
    assert TMAPI.from_env().reveal_token() == "secret"
    assert TMAPI.from_env(base_url="https://api.tmapi.top").host == "api.tmapi.top"


def test_from_env_without_a_token_is_refused(monkeypatch):
    """No client is made without a token."""
    monkeypatch.delenv("TMAPI_TOKEN", raising=False)
    with pytest.raises(InvalidRequestError):
        TMAPI.from_env()


def test_an_unknown_option_is_refused():
    """A misspelled option is no option: nothing is silently ignored."""
    with pytest.raises(TypeError, match="concurency"):
        TMAPI("token", concurency=3)
    with pytest.raises(TypeError, match="concurency"):
        TMAPI.from_env(concurency=3)
