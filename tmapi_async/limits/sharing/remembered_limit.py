"""Limit of an account that an earlier process has learned, distrusted with age. No I/O."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from tmapi_async.limits.learning import START

from .messages import LearnedLimit

TRUSTED_SECONDS = 3600.0
"""Age up to which a width is taken as it was learned."""

HALVING_SECONDS = 11 * 3600.0
"""Seconds after which the distance from the usual start has halved, counted from then on."""

FRESH_SECONDS = 600.0
"""Age up to which the same width need not be stored again."""

MOST_ACCOUNTS = 64


class RememberedLimit(msgspec.Struct, frozen=True):
    """Limit of an account when it was last learned.

    Attributes:
        width: Number of slots.
        latency: Mean latency in seconds.
        learned_at: Time of learning, in seconds since 1970.
    """

    width: int
    latency: float
    learned_at: float


def start_width(remembered: RememberedLimit, now: float) -> int:
    """Return the width to start at.

    Args:
        remembered: Limit that an earlier process has learned.
        now: Seconds since 1970.
    """
    age = now - remembered.learned_at
    if age < 0 or remembered.width < 1:
        return START  # the clock was set back, or the file was edited
    trust: float = 2.0 ** -(max(0.0, age - TRUSTED_SECONDS) / HALVING_SECONDS)
    return max(1, START + round((remembered.width - START) * trust))


def newly_learned(
    learned: LearnedLimit, earlier: RememberedLimit | None, now: float, *, bounded: bool
) -> RememberedLimit | None:
    """Return the limit to remember, or None if there is nothing new.

    Args:
        learned: Limit as far as a controller knows it.
        earlier: Limit remembered until now, or None.
        now: Seconds since 1970.
        bounded: True if a ceiling bounds the width: then the width itself says nothing.
    """
    known = 0 if earlier is None else earlier.width
    width = learned.limit
    if width is None and not bounded and learned.latency and learned.width > max(known, START):
        width = learned.width
    if width is None:
        return None
    if earlier is not None and width == known and now - earlier.learned_at < FRESH_SECONDS:
        return None
    return RememberedLimit(width, learned.latency, now)


def with_account(
    accounts: Mapping[str, RememberedLimit], name: str, limit: RememberedLimit
) -> dict[str, RememberedLimit]:
    """Return the accounts with a new limit for one of them: at most 64, the newest."""
    entries = sorted({**accounts, name: limit}.items(), key=lambda entry: -entry[1].learned_at)
    return dict(entries[:MOST_ACCOUNTS])
