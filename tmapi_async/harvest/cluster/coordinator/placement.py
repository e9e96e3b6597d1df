"""How many listings go to a seat, and in stretches of what size. No I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping

from tmapi_async.api.listings import Listing

LISTINGS_PER_SLOT = 4
"""Listings a seat is given for each of its slots: with fewer, a slot may wait for a stretch."""

SECONDS_AHEAD = 0.5
"""Or what it walks to their end in this time, if that is more: short listings."""

MAX_BATCH = 512
_LONGEST_NAME = 60


def target_listings(slots: int, end_rate: float) -> int:
    """How many listings a seat should have, those it walks included.

    Args:
        slots: Slots it has.
        end_rate: Listings that end on it, each second, of late.
    """
    return max(LISTINGS_PER_SLOT * slots, round(SECONDS_AHEAD * end_rate), 1)


def batch_size(held: int, slots: int, end_rate: float, *, left: int, sessions: int) -> int:
    """How many listings to send to a seat now; 0 if it has enough.

    A seat is filled up when half of what it should have has ended, so that a stretch is more than a
    listing or two. Near the end stretches get small, so that all seats end together.

    Args:
        held: Listings it has that have not ended.
        slots: Slots it has.
        end_rate: Listings that end on it, each second, of late.
        left: Listings that no seat has been given yet.
        sessions: Seats there are.
    """
    target = target_listings(slots, end_rate)
    if not slots or held > target // 2:
        return 0
    fair = max(1, slots - held, left // (2 * sessions))
    return max(0, min(target - held, fair, MAX_BATCH))


def name(first: Listing, count: int, number: int, session: str) -> str:
    """The key of a stretch's task: what the dashboard shows.

    Dask makes one group of all keys that begin alike, up to the first word that is no word.
    """
    identity = first.identity
    if len(identity) > _LONGEST_NAME:
        identity = identity[: _LONGEST_NAME - 3] + "..."
    more = f" and {count - 1} more" if count > 1 else ""
    return f"tmapi-batch-{number}: {identity}{more} ({session})"


MIN_SLOTS = 2
"""Slots that a seat should have: with fewer, another worker is of no use to the account."""


def assign_sessions(
    widths: Mapping[int, int], workers: Collection[str], assigned: Mapping[str, tuple[int, str]]
) -> list[tuple[int, str]]:
    """Which seats to take, so that every account and every worker has something to do.

    Args:
        widths: Account to the slots it has, those accounts that can go on.
        workers: Addresses.
        assigned: Seat to its account and worker.

    Returns:
        Pairs of account and worker.
    """
    if not workers:
        return []
    of_account = Counter(account for account, _ in assigned.values())
    of_worker = Counter(dict.fromkeys(workers, 0))
    of_worker.update(worker for _, worker in assigned.values() if worker in of_worker)
    added: list[tuple[int, str]] = []

    def add(account: int, worker: str) -> None:
        added.append((account, worker))
        of_account[account] += 1
        of_worker[worker] += 1

    for account in widths:
        if not of_account[account]:
            add(account, min(workers, key=of_worker.__getitem__))
    for worker in workers:
        roomy = [n for n, width in widths.items() if of_account[n] < max(1, width // MIN_SLOTS)]
        if not of_worker[worker] and roomy:
            add(min(roomy, key=of_account.__getitem__), worker)
    return added


def surplus_sessions(width: int, slots: Mapping[str, int]) -> list[str]:
    """Seats of an account that are too many: there is not a slot for each.

    Args:
        width: Slots of the account.
        slots: Seat to the slots it has.
    """
    many = len(slots) - max(1, width)
    return sorted(slots, key=slots.__getitem__)[: max(0, many)]
