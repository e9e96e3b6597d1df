"""Environments of the peers: `.venvs/peers-NAME`, made once from `NAME.txt` in this folder."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ENVIRONMENTS = HERE.parent.parent / ".venvs"
LONGEST = 300
"""Time limit of an installation in seconds."""


def python_of(name: str) -> Path | None:
    """Return the interpreter of a peer, installed if necessary. None if that fails."""
    requirements = HERE / f"{name}.txt"
    folder = ENVIRONMENTS / f"peers-{name}"
    python, stamp = folder / "bin" / "python", folder / "installed"
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text(encoding="ascii") == digest:
        return python
    print(f"installing {name} into .venvs/{folder.name}", flush=True)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    try:
        for command in (
            [sys.executable, "-m", "venv", "--clear", str(folder)],
            [*pip, "--requirement", str(requirements)],
        ):
            subprocess.run(  # noqa: S603 - our own commands
                command, check=True, timeout=LONGEST, capture_output=True
            )
    except (subprocess.SubprocessError, OSError) as error:
        print(f"{name} is absent: it could not be installed ({type(error).__name__})", flush=True)
        return None
    stamp.write_text(digest, encoding="ascii")
    return python


def version_of(name: str) -> str:
    """Return the pinned version of a peer."""
    for line in (HERE / f"{name}.txt").read_text(encoding="utf-8").splitlines():
        package, _, version = line.partition("==")
        if package.lower() == name:
            return version
    raise ValueError(f"{name}.txt does not pin {name}")
