"""Exit codes of the command-line contract."""

from __future__ import annotations

OK = 0
"""Every listing is complete, or capped with a warning."""

UNEXPECTED = 1
"""A failure that nobody foresaw."""

USAGE = 2
"""Bad usage or bad input; nothing was sent."""

PARTIAL = 3
"""Part of the work is left, and the same command continues."""

REFUSED = 4
"""The API refused the token or the balance; the same command continues later."""
