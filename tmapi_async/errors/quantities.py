"""A number with its noun, for every message, help text and report."""

from __future__ import annotations


def quantity(number: int, singular: str, plural: str = "") -> str:
    """Return a number with its noun, such as "1 listing" or "2,000 pages".

    Args:
        number: The number.
        singular: The noun for one.
        plural: The noun for any other number; `singular` with an "s" by default.
    """
    return f"{number:,} {singular if number == 1 else plural or f'{singular}s'}"
