"""Places where a worker finds its token."""

from __future__ import annotations

import pytest

from tmapi_async.errors import InvalidRequestError
from tmapi_async.harvest.cluster.token_source import TokenSource


@pytest.mark.parametrize("text", ["env:", "file:", "TMAPI_TOKEN", "s3:bucket", ""])
def test_a_text_that_names_no_source_is_refused(text):
    """Only env:NAME and file:PATH name a token source."""
    with pytest.raises(ValueError, match="env:NAME or file:PATH"):
        TokenSource.parse(text)


@pytest.mark.parametrize(("content", "count"), [("", "0 tokens"), ("canary", "1 token ")])
def test_a_missing_token_is_named_by_the_number_of_its_account(monkeypatch, content, count):
    """The message counts the tokens there, and shows none."""
    monkeypatch.setenv("TMAPI_TEST_TOKENS", content)
    with pytest.raises(InvalidRequestError) as caught:
        TokenSource.parse("env:TMAPI_TEST_TOKENS").read(1)
    assert f"env:TMAPI_TEST_TOKENS holds {count}" in str(caught.value)
    assert "account 2" in str(caught.value)
    assert "canary" not in str(caught.value)
