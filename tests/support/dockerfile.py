"""Reads a Dockerfile as far as the project's own needs: no Docker is at hand where tests run."""

from __future__ import annotations

import re
from fnmatch import fnmatch
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pathlib import Path

_CONTINUED = re.compile(r"\\\n")


class Instruction(NamedTuple):
    """One instruction: its name in capital letters, and the rest of its line."""

    name: str
    text: str


def read_dockerfile(path: Path) -> list[Instruction]:
    """Return the instructions of a Dockerfile in order, comments left out."""
    lines = [
        line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")
    ]
    logical = _CONTINUED.sub("", "\n".join(lines)).splitlines()
    parts = [line.strip().split(maxsplit=1) for line in logical if line.strip()]
    return [Instruction(name.upper(), text) for name, text in parts]


def stages(instructions: list[Instruction]) -> list[list[Instruction]]:
    """Return the instructions of each stage; each begins with its FROM."""
    starts = [number for number, each in enumerate(instructions) if each.name == "FROM"]
    ends = [*starts[1:], len(instructions)]
    return [instructions[start:end] for start, end in zip(starts, ends, strict=True)]


def is_sent(name: str, ignored: Path) -> bool:
    """Return True if the file of patterns lets a file or folder at the top into the build.

    The last pattern that matches decides, as in Docker.
    """
    sent = True
    for line in ignored.read_text(encoding="utf-8").splitlines():
        pattern = line.strip()
        if not pattern or pattern.startswith("#"):
            continue
        if fnmatch(name, pattern.removeprefix("!").removeprefix("**/")):
            sent = pattern.startswith("!")
    return sent
