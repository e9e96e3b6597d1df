"""Speed and time as every display of progress words them."""

from __future__ import annotations

_NARROW = 1.3
_HIGH = 10.0


def clock_text(seconds: float) -> str:
    """Return a duration as "9:59", from an hour on as "1:00:00"."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def pages_per_minute(rate: float) -> str:
    """Return the recent speed by the minute.

    Args:
        rate: Pages per second over the last half minute.
    """
    if rate <= 0:
        return "no page in the last half minute"
    speed = 60 * rate
    return f"{speed:,.0f} pages/min" if speed >= _HIGH else f"{speed:.1f} pages/min"


def time_left_text(low: float, mean: float, high: float) -> str:
    """Return the time that is left: a range, or one figure where the range is narrow.

    Args:
        low: Fewest seconds.
        mean: Seconds to expect.
        high: Most seconds.
    """
    if high <= _NARROW * low or clock_text(low) == clock_text(high):
        return f"about {clock_text(mean)} left"
    return f"{clock_text(low)} to {clock_text(high)} left"
