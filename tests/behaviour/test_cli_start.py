"""Ctrl-C before the first request."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.support.commands import environment

EARLY = """
import asyncio, contextlib, os, signal, sys
from tmapi_async.cli import main
from tmapi_async.cli.commands import items
@contextlib.asynccontextmanager
async def open_client(*_):
    os.kill(os.getpid(), signal.SIGINT)
    await asyncio.sleep(60)
    yield
items.open_client = open_client
sys.argv = ["tmapi", "items", "--sandbox", "7"]
main()
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="signals there are others")
def test_items_that_are_interrupted_before_the_first_request_say_so() -> None:
    """An interrupt before the client is open prints the reason, and no summary."""
    command = [sys.executable, "-c", EARLY]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)  # noqa: S603 - our own command
    assert (done.returncode, done.stderr) == (3, "tmapi: interrupted; nothing was sent\n")
