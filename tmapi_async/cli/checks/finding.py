"""Result of one check, for people and as JSON."""

from __future__ import annotations

from typing import Literal, TypeAlias

import msgspec

Result: TypeAlias = Literal["fine", "warning", "failed", "skipped"]


class Finding(msgspec.Struct, frozen=True):
    """Result of one check.

    Attributes:
        check: Name of the check.
        result: "fine", "warning" (work is possible), "failed" (it is not) or "skipped".
        text: Text that says what was found.
        advice: Text that says what to do, or "".
        refused: True if the API refused the token or the balance.
    """

    check: str
    result: Result
    text: str
    advice: str = ""
    refused: bool = False

    def __str__(self) -> str:
        advice = f". {self.advice[:1].upper()}{self.advice[1:]}" if self.advice else ""
        return f"{self.result:8} {self.check}: {self.text}{advice}"
