"""The two loops of the first page of the documentation do what the page says of them."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.support.doc_pages import PYTHON, Block, read_page
from tests.support.paths import ROOT
from tmapi_async import BalanceError
from tmapi_async.sandbox.server.process import SandboxThread

PAGE = ROOT / "docs" / "index.md"
NUMBER = re.compile(r"\b\d+\b")


def namespace_of(block: Block) -> dict[str, Any]:
    """Return what a block defines."""
    namespace: dict[str, Any] = {"__name__": "sample"}
    exec(compile(block.code, block.place, "exec"), namespace)  # noqa: S102 - our own docs
    return namespace


@pytest.mark.slow
def test_the_loop_on_the_front_page_takes_a_spent_balance_for_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The usual loop of the front page loses items silently; that with TMAPI raises."""
    blocks = read_page(PAGE).blocks
    usual, ours = (namespace_of(block) for block in blocks if block.language == PYTHON)
    with SandboxThread(quota=2, balance="bare") as sandbox:
        monkeypatch.setenv("TMAPI_BASE_URL", sandbox.url)
        monkeypatch.setenv("TMAPI_TOKEN", "sandbox")
        assert len(usual["category"](1031910)) == 40
        sandbox.call(lambda: setattr(sandbox.sandbox, "quota", 4))
        with pytest.raises(BalanceError) as raised:
            ours["category"](1031910)
        assert len(sandbox.sandbox.catalogue.item_ids(1031910)) == 113
    (message,) = (block for block in blocks if block.language == "text")
    shown = " ".join(message.code.split())
    # Which page is refused first is up to the look-ahead.
    assert NUMBER.sub("N", str(raised.value)) == NUMBER.sub("N", shown)
