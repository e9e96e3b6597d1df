"""A headless Chromium: the drawn page, its console messages and its requests."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--virtual-time-budget=4000",
    "--enable-logging=stderr",
    # Whatever is asked for must not leave this machine, even when the test fails.
    "--host-resolver-rules=MAP * ~NOTFOUND",
)


def needed():
    """Skip the test if `make test` found no Chromium. CI installs one."""
    if CHROMIUM is None:
        if os.environ.get("TMAPI_TEST_CHROMIUM") == "absent":
            pytest.skip("no Chromium: apt-get install chromium")
        pytest.fail("no Chromium: apt-get install chromium, or set TMAPI_TEST_CHROMIUM=absent")


class Visit:
    """Result of opening a page: its DOM, console messages and requests."""

    def __init__(self, page: Path, folder: Path, *flags: str) -> None:
        log = folder / "net.json"
        done = subprocess.run(  # noqa: S603 - our own script
            [
                str(CHROMIUM),
                *_FLAGS,
                f"--user-data-dir={folder / 'profile'}",
                f"--log-net-log={log}",
                *flags,
                "--dump-dom",
                page.as_uri(),
            ],
            capture_output=True,
            timeout=90,
            check=True,
        )
        self.dom = done.stdout.decode()
        self.console = re.findall(r"CONSOLE[:(].*", done.stderr.decode("utf-8", "replace"))
        self.requests = _requests(log)


def _requests(log: Path) -> set[str]:
    """Return the requests of the page. Chromium's own have another initiator."""
    found = set()
    for event in json.loads(log.read_text("utf-8", "replace"))["events"]:
        params = event.get("params", {})
        url = str(params.get("url", ""))
        web = url.startswith(("http:", "https:", "ws:", "wss:"))
        if web and str(params.get("initiator", "")).startswith(("file:", "null")):
            found.add(url)
    return found
