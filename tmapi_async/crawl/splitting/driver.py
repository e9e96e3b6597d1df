"""Drives the planners of divided listings through a crawl: pages in, openings out. No I/O.

To the crawl a splitter is the source of its listings. A listing to be divided is opened for its
first page alone, as is every part of it; what the planner then wants walked is opened again, with
that page held. Nothing is asked twice: pages that the caller holds from before (`PartStore`) are
shown to the planner in place of requests.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import aclosing
from typing import Any, Protocol, Self

import msgspec

from tmapi_async.api.listings import Listing, endpoint_of
from tmapi_async.api.replies import Page
from tmapi_async.crawl.outcomes import USUAL_CEILING, Ending, ListingOutcome, ListingTask
from tmapi_async.errors import InvalidRequestError, TMAPIError

from . import Expectation, Observation, Reconciliation, SplitPlanner, SplitQuery

_MOST_FAMILIES = 8
"""Listings divided at a time: of each, all item IDs are held."""


class Split(msgspec.Struct, frozen=True, kw_only=True):
    """How listings are divided.

    Attributes:
        ceiling: A `total_count` of so many rows or more says that there may be more.
        on_expect: Called with what a listing is expected to cost yet: when it proves to stand at
            the ceiling, when every part of it fits, and again with each second look at a part that
            has brought too little.
        on_reconciled: Called with what came of a listing, when it has ended; not if it was stopped.
    """

    ceiling: int = USUAL_CEILING
    on_expect: Callable[[Listing, Expectation], None] | None = None
    on_reconciled: Callable[[Reconciliation], None] | None = None

    def check(self) -> None:
        """Refuse what makes no sense."""
        whole = isinstance(self.ceiling, int) and not isinstance(self.ceiling, bool)
        if not whole or self.ceiling < 1:
            raise InvalidRequestError(f"ceiling must be a whole number from 1, not {self.ceiling}")


def read_split(value: object) -> Split | None:
    """How a walk is divided, as given: a bool, or a `Split`.

    Raises:
        InvalidRequestError: It is neither, or makes no sense.
    """
    if value is None or isinstance(value, bool):
        return Split() if value else None
    if not isinstance(value, Split):
        raise InvalidRequestError(f"split must be True, False or a Split, not {value!r}")
    value.check()
    return value


class StoredPart(msgspec.Struct, frozen=True):
    """What is known of a part from before.

    Attributes:
        pages: Its pages, in page order.
        ending: How its walk ended, if it did.
    """

    pages: Sequence[Observation] = ()
    ending: Ending | None = None


class PartStore(Protocol):
    """Where the caller keeps parts: they outlive the process there."""

    def load_part(self, root: Listing, part: Listing) -> StoredPart:
        """What is held of a part, which is about to be used."""
        ...

    def begin_part(self, root: Listing, part: Listing) -> None:
        """Pages of a part are about to be asked for."""
        ...

    def part_ended(self, root: Listing, outcome: ListingOutcome, *, walked: bool) -> None:
        """What was asked of a part has come: all of it, or its first page alone."""
        ...

    def reconciled(self, account: Reconciliation, outcome: ListingOutcome) -> None:
        """A divided listing has ended."""
        ...


class _Divided:
    """A listing that is being divided."""

    def __init__(self, root: Listing, ceiling: int) -> None:
        self.root = root
        self.plan = SplitPlanner(root, flags=endpoint_of(root).flags, ceiling=ceiling)
        self.held: dict[Listing, StoredPart] = {}
        self.first: dict[Listing, Observation] = {}
        self.probing: set[Listing] = set()  # opened for their first page alone
        self.open: set[Listing] = set()  # opened or waiting to be, the probes among them
        self.errors: list[TMAPIError] = []
        self.steps: deque[SplitQuery] = deque()
        self.busy = False
        self.told = False
        self.second = -1  # second looks told of; none of a settled plan yet
        self.stopped = False


class _Later:
    """The next listing of a source, waited for in the background: parts must not wait for it."""

    def __init__(self, source: AsyncGenerator[ListingTask], changed: asyncio.Event) -> None:
        self._source = source
        self._changed = changed
        self._task: asyncio.Task[ListingTask | None] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def ask(self) -> bool:
        """Whether the next one is there; it is asked for."""
        if self._task is None:
            self._task = asyncio.create_task(self._next(), name="tmapi roots")
            self._task.add_done_callback(lambda _: self._changed.set())
        return self._task.done()

    def take(self) -> ListingTask | None:
        """The next one, or None after the last.

        Raises:
            Exception: Whatever the source raised.
        """
        task, self._task = self._task, None
        assert task is not None  # noqa: S101 - `ask` said that it is done
        return task.result()

    async def _next(self) -> ListingTask | None:
        return await anext(self._source, None)


class SplitDriver:
    """Divides listings of a crawl. Its `page` and `ended` are told what the crawl brings.

    Args:
        split: How.
        on_listing_end: Called with the outcome of each divided listing.
        store: Parts kept from an earlier process, or None.
    """

    def __init__(
        self,
        split: Split,
        *,
        on_listing_end: Callable[[ListingOutcome], None],
        store: PartStore | None = None,
    ) -> None:
        self._split = split
        self._on_listing_end = on_listing_end
        self._store = store
        self._families: dict[Listing, _Divided] = {}
        self._owners: dict[Listing, _Divided] = {}
        self._ready: deque[ListingTask] = deque()
        self._changed = asyncio.Event()
        self.reconciliations: list[Reconciliation] = []

    def __contains__(self, listing: object) -> bool:
        return listing in self._owners

    async def tasks(self, source: AsyncGenerator[ListingTask]) -> AsyncGenerator[ListingTask]:
        """The listings of a source, each followed by the parts into which it is divided."""
        more = True
        async with aclosing(source) as roots, _Later(roots, self._changed) as later:
            while more or self._families or self._ready:
                while self._ready:
                    yield self._ready.popleft()
                self._changed.clear()
                if more and len(self._families) < _MOST_FAMILIES and later.ask():
                    root = later.take()
                    more = root is not None
                    if root is not None:
                        self._begin(root.listing)
                elif more or self._families:
                    await self._changed.wait()

    def _begin(self, root: Listing) -> None:
        if root in self._owners:
            return  # given again while it is being divided: once is enough
        family = self._families[root] = _Divided(root, self._split.ceiling)
        self._follow(family, family.plan.begin())

    # -- what the crawl brings

    def page(self, page: Page[Any]) -> Page[Any]:
        """Take in a page; returns it with those items alone that its family has not shown yet."""
        listing = page.request.listing
        family = self._owners.get(listing)
        if family is None:
            return page
        fresh = {item.item_id: item for item in page.items if not family.plan.knows(item.item_id)}
        self._show(family, listing, Observation.of(page))
        return page.only([*fresh.values()])

    def _show(self, family: _Divided, listing: Listing, sight: Observation) -> None:
        if sight.number == 1:
            family.first.setdefault(listing, sight)
        self._follow(family, family.plan.page(listing, sight))
        if sight.number == 1 and listing not in family.held:
            self._tell(family)

    def ended(self, outcome: ListingOutcome) -> None:
        """What was asked of a part has come."""
        listing = outcome.listing
        family = self._owners[listing]
        probe = listing in family.probing
        family.probing.discard(listing)
        family.open.discard(listing)
        family.stopped = family.stopped or outcome.ending == "stopped"
        if outcome.error is not None:
            family.errors.append(outcome.error)
        wanted = probe and listing in family.first and family.plan.walked(listing)
        if self._store is not None and not (wanted and family.first[listing].has_next):
            self._store.part_ended(family.root, outcome, walked=not probe or wanted)
        if outcome.ending == "stopped" or (probe and not wanted):
            self._conclude(family)
        elif probe and outcome.ending != "failed":
            self._walk(family, listing)
            self._conclude(family)
        else:
            self._finish(family, listing, outcome.ending, str(outcome.error or ""))
            self._tell(family)

    def _finish(self, family: _Divided, listing: Listing, ending: Ending, error: str = "") -> None:
        self._follow(family, family.plan.ended(listing, ending, error))

    # -- what the planner wants

    def _follow(self, family: _Divided, steps: Iterable[SplitQuery]) -> None:
        family.steps += steps
        if family.busy:
            return  # pages held from before are shown while a step is taken: one at a time
        family.busy = True
        while family.steps:
            step = family.steps.popleft()
            if step.do == "open":
                self._open(family, step.listing)
            elif step.do == "walk" and step.listing not in family.probing:
                self._walk(family, step.listing)
        family.busy = False
        self._conclude(family)

    def _open(self, family: _Divided, listing: Listing) -> None:
        if listing in self._owners:
            raise InvalidRequestError(f"{listing} is asked for as a part of another listing too")
        self._owners[listing] = family
        family.open.add(listing)
        held = (
            self._store.load_part(family.root, listing) if self._store is not None else StoredPart()
        )
        if held.pages:
            family.held[listing] = held
            for sight in held.pages:
                self._show(family, listing, sight)
            if not family.plan.walked(listing):
                family.open.discard(listing)
            return
        family.probing.add(listing)
        self._queue(family, ListingTask(listing=listing, max_pages=1, part=True))

    def _walk(self, family: _Divided, listing: Listing) -> None:
        held = family.held.get(listing) or StoredPart((family.first[listing],))
        family.open.add(listing)
        last = held.pages[-1]
        # Pages come side by side: where work was stopped, some before the last may be missing.
        whole = last.number == len(held.pages) and not last.has_next
        if held.ending is not None or whole:
            family.open.discard(listing)
            self._finish(family, listing, held.ending or "complete")
            return
        self._queue(
            family,
            ListingTask(
                listing=listing,
                held={sight.number: sight.has_next for sight in held.pages},
                seen={item for sight in held.pages for item in sight.ids},
                rows=sum(len(sight.rows) + sight.rejects for sight in held.pages),
                part=True,
            ),
        )

    def _queue(self, family: _Divided, opening: ListingTask) -> None:
        if self._store is not None:
            self._store.begin_part(family.root, opening.listing)
        self._ready.append(opening)
        self._changed.set()

    # -- what is told

    def _tell(self, family: _Divided) -> None:
        if family.plan.walked(family.root) or self._split.on_expect is None:
            return
        expected = family.plan.expectation()
        news = expected.second > family.second if expected.settled else not family.told
        if news:
            family.told = True
            family.second = expected.second if expected.settled else family.second
            self._split.on_expect(family.root, expected)

    def _conclude(self, family: _Divided) -> None:
        if family.open or family.stopped or family.root not in self._families:
            return
        del self._families[family.root]
        self._settle(family)
        self._changed.set()

    def _settle(self, family: _Divided) -> None:
        account = family.plan.reconcile()
        for listing in family.plan.listings:
            self._owners.pop(listing, None)
        ending: Ending = "complete"
        if not account.complete:
            ending = "failed" if account.failed else "capped"
        outcome = ListingOutcome(
            listing=family.root,
            ending="stopped" if family.stopped else ending,
            pages=account.requests,
            items=account.rows,
            unique=account.distinct,
            duplicates=account.rows - account.distinct,
            rejects=account.rejects,
            error=family.errors[0] if family.errors else None,
        )
        if not family.stopped:
            self.reconciliations.append(account)
        if self._store is not None:
            self._store.reconciled(account, outcome)
        self._on_listing_end(outcome)
        if self._split.on_reconciled is not None and not family.stopped:
            self._split.on_reconciled(account)

    def close(self) -> None:
        """Nothing more will come: listings that are still being divided were stopped."""
        families, self._families = list(self._families.values()), {}
        for family in families:
            family.stopped = True
            self._settle(family)
