"""The peers' environments: `.venvs/peers-NAME`, made from `NAME.txt` beside this, once."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ENVIRONMENTS = HERE.parent.parent / ".venvs"
LONGEST = 300
"""Seconds that an installation may take."""


def python_of(name: str) -> Path | None:
    """The interpreter of a peer's environment, made if need be; None if it cannot be installed."""
    needs = HERE / f"{name}.txt"
    folder = ENVIRONMENTS / f"peers-{name}"
    python, stamp = folder / "bin" / "python", folder / "installed"
    wanted = hashlib.sha256(needs.read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text(encoding="ascii") == wanted:
        return python
    print(f"installing {name} into .venvs/{folder.name}", flush=True)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    try:
        for command in (
            [sys.executable, "-m", "venv", "--clear", str(folder)],
            [*pip, "--requirement", str(needs)],
        ):
            subprocess.run(  # noqa: S603 - our own commands
                command, check=True, timeout=LONGEST, capture_output=True
            )
    except (subprocess.SubprocessError, OSError) as error:
        print(f"{name} is absent: it could not be installed ({type(error).__name__})", flush=True)
        return None
    stamp.write_text(wanted, encoding="ascii")
    return python


def version_of(name: str) -> str:
    """The version that a peer is pinned to."""
    for line in (HERE / f"{name}.txt").read_text(encoding="utf-8").splitlines():
        package, _, version = line.partition("==")
        if package.lower() == name:
            return version
    raise ValueError(f"{name}.txt does not pin {name}")
