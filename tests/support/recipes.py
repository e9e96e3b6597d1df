"""Examples as programs of their own: copied, and run with the environment that cron gives."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.paths import ROOT

if TYPE_CHECKING:
    from collections.abc import Sequence

EXAMPLES = ROOT / "examples"


def bare_environment(**variables: str) -> dict[str, str]:
    """Return hardly any variables: no HOME, no locale, no folder for temporary files.

    Coverage and a checkout that is not installed need the two that are kept.
    """
    kept = {name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ}
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    return {"PATH": path, "SHELL": "/bin/sh", **kept, **variables}


def copy_example(name: str, place: Path) -> Path:
    """Copy an example into a folder and return the copy."""
    source = EXAMPLES / name
    if source.is_dir():
        return Path(shutil.copytree(source, place / name))
    return Path(shutil.copy(source, place))


def run_bare(
    command: Sequence[str | Path], cwd: Path, *, timeout: float = 90, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run a command with a bare environment and without standard input."""
    return subprocess.run(  # noqa: S603 - our own examples
        [*map(str, command)],
        cwd=cwd,
        env=bare_environment(**variables),
        stdin=subprocess.DEVNULL,
        timeout=timeout,
        capture_output=True,
        text=True,
        check=False,
    )
