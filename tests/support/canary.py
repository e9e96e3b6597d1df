"""A token that tests plant to find leaks."""

from __future__ import annotations

import logging

CANARY_TOKEN = "canary-5up3r53cr3t-t0k3n"  # noqa: S105 - planted to be looked for, opens nothing


class Canary:
    """A planted token, and checks for leaks."""

    token = CANARY_TOKEN

    def absent_from(self, material: str | bytes) -> bool:
        """Return True if the token is not in a text or in the bytes of a file."""
        if isinstance(material, bytes):
            return self.token.encode() not in material
        return self.token not in material

    def loggers_leaking(self, records: list[logging.LogRecord]) -> set[str]:
        """Return the names of the loggers whose records show the token, tracebacks included."""
        formatter = logging.Formatter()
        # What a record carries beside its text (`extra=`) ends up in structured logs.
        return {
            r.name for r in records if not self.absent_from(f"{formatter.format(r)} {vars(r)!r}")
        }
