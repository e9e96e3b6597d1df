"""Number of listings to send to a session, and workers to open sessions on. No I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping

from tmapi_async.api.listings import Listing

LISTINGS_PER_SLOT = 4
"""Listings assigned for each slot of a session: with fewer, a slot may wait for a batch."""

SECONDS_AHEAD = 2.0
"""Seconds of work to assign, where this is more listings than the above: short listings."""

MAX_BATCH = 512
MIN_SLOTS = 2
"""Slots that a session should have: with fewer, another worker does not help the account."""

LINE_TIMEOUT = 60.0
"""Seconds without an answer after which a session is closed if the API answers another one."""

_LONGEST_IDENTITY = 60


def target_listings(slots: int, end_rate: float) -> int:
    """Return the number of listings that a session should have, those in progress included.

    Args:
        slots: Slots of the session.
        end_rate: Listings that end on the session each second, measured lately.
    """
    return max(LISTINGS_PER_SLOT * slots, round(SECONDS_AHEAD * end_rate), 1)


def batch_size(assigned: int, slots: int, end_rate: float, *, remaining: int, sessions: int) -> int:
    """Return the number of listings to send to a session now; 0 if it has enough.

    A session is refilled when half of its target has ended, so that a batch has more than a
    listing or two. Near the end batches get small, so that all sessions end together.

    Args:
        assigned: Listings of the session that have not ended.
        slots: Slots of the session.
        end_rate: Listings that end on the session each second, measured lately.
        remaining: Listings of the harvest that have not ended.
        sessions: Number of open sessions.
    """
    target = target_listings(slots, end_rate)
    if not slots or assigned > target // 2:
        return 0
    fair = max(1, slots - assigned, remaining // (2 * sessions))
    return max(0, min(target - assigned, fair, MAX_BATCH))


def task_key(first: Listing, count: int, number: int, session: str) -> str:
    """Return the key of a batch's Dask task, as shown on the dashboard.

    Dask groups tasks by the start of their keys, up to the first part that is not a word.

    Args:
        first: First listing of the batch.
        count: Number of listings in the batch.
        number: Number of the batch on its session.
        session: Name of the session.
    """
    identity = first.identity
    if len(identity) > _LONGEST_IDENTITY:
        identity = identity[: _LONGEST_IDENTITY - 3] + "..."
    more = f" and {count - 1} more" if count > 1 else ""
    return f"tmapi-batch-{number}: {identity}{more} ({session})"


def new_sessions(
    widths: Mapping[int, int], workers: Collection[str], sessions: Mapping[str, tuple[int, str]]
) -> list[tuple[int, str]]:
    """Choose the sessions to open, so that every account and every worker has work.

    Args:
        widths: Account to its slots, for the accounts that can go on.
        workers: Addresses of the workers.
        sessions: Name of each open session to its account and worker.

    Returns:
        Pairs of account and worker.
    """
    if not workers:
        return []
    of_account = Counter(account for account, _ in sessions.values())
    of_worker = Counter(dict.fromkeys(workers, 0))
    of_worker.update(worker for _, worker in sessions.values() if worker in of_worker)
    pairs: list[tuple[int, str]] = []

    def add(account: int, worker: str) -> None:
        pairs.append((account, worker))
        of_account[account] += 1
        of_worker[worker] += 1

    for account in widths:
        if not of_account[account]:
            add(account, min(workers, key=of_worker.__getitem__))
    for worker in workers:
        accounts = [
            account
            for account, width in widths.items()
            if of_account[account] < max(1, width // MIN_SLOTS)
        ]
        if not of_worker[worker] and accounts:
            add(min(accounts, key=of_account.__getitem__), worker)
    return pairs


def surplus_sessions(width: int, slots: Mapping[str, int]) -> list[str]:
    """Return the sessions to close when an account has fewer slots than sessions.

    Args:
        width: Slots of the account.
        slots: Name of each session to its slots.
    """
    excess = len(slots) - max(1, width)
    return sorted(slots, key=slots.__getitem__)[: max(0, excess)]


def cut_off_sessions(silent_for: Mapping[str, float | None]) -> list[str]:
    """Return the sessions to close because only their own line to the API is down.

    Args:
        silent_for: Name of each session of an account to the seconds for which the API has not
            answered it; None for a session that gets answers.
    """
    if all(seconds is not None for seconds in silent_for.values()):
        return []
    return [
        name
        for name, seconds in silent_for.items()
        if seconds is not None and seconds > LINE_TIMEOUT
    ]
