"""A Redis server of a test's own, on a free port and without files."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.support import gateways

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def find() -> str:
    """Return the path of the server's program; skip the test where it is not installed.

    `make test` says in TMAPI_TEST_REDIS if the program that CI installs is here.
    """
    for name in ("redis-server", "valkey-server"):
        path = shutil.which(name)
        if path is not None:
            return path
    if os.environ.get("TMAPI_TEST_REDIS") == "absent":
        pytest.skip("no redis-server here: apt-get install redis-server")
    pytest.fail("this test needs redis-server: `sh scripts/have redis --install`")


@contextmanager
def serve(folder: Path, *options: str, port: int | None = None) -> Iterator[str]:
    """Run a server until the block is left. Yields its host and port.

    Args:
        folder: Folder for its log.
        options: Options of the server.
        port: Port to listen on, or None for a free one.
    """
    port = port or gateways.free_port()
    command = [find(), "--port", str(port), "--bind", "127.0.0.1", "--save", "", *options]
    with gateways.run(command, port, folder) as url:
        yield urlsplit(url).netloc
