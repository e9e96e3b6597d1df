"""Plans for a price that fills the ceiling alone. No I/O.

A band of one price that still stands at the ceiling goes, in this order, by

1. a boolean filter of which both values fit, and together promise no less than the ceiling;
2. a filter whose `false` has been seen to leave out what `true` shows: each value is divided on;
3. both orders of prices: where they meet, they have shown everything, or nearly (see `meeting`);
4. and, where they do not, each value of a filter that has been seen to leave something out.

What `false` means is not documented. So nothing rests on it but what an answer has shown, and 3
comes before 4, whose parts are those of 3 again where `false` filters nothing.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeAlias

import msgspec

from .overlap import Overlap, find_overlap
from .plan_runner import Plan, PlanDraft, PlanRunner, Wait
from .price_bands import Band
from .queries import Flags, QueryBuilder, opposite
from .split_parts import Part


class SinglePrice(msgspec.Struct, frozen=True):
    """A band that prices do not divide, with the filters set in it.

    Attributes:
        band: The band.
        flags: The filters.
        sort: An order of prices.
        outer: The pieces that it lies within.
    """

    band: Band
    flags: Flags
    sort: str
    outer: tuple[PlanDraft, ...] = ()

    def narrowed(self, flag: tuple[str, bool], *outer: PlanDraft) -> SinglePrice:
        """It with one more filter."""
        flags = (*self.flags, flag)
        return msgspec.structs.replace(self, flags=flags, outer=(*self.outer, *outer))


_Probes: TypeAlias = dict[str, tuple[Part, Part]]


class SinglePrices:
    """The plans of one family.

    Args:
        roster: Its parts.
        asker: Makes parts.
        flags: Boolean filters that may be set.
    """

    def __init__(self, roster: PlanRunner, asker: QueryBuilder, flags: tuple[str, ...]) -> None:
        self._roster = roster
        self._asker = asker
        self._flags = flags

    def divide(self, single: SinglePrice, part: Part) -> Plan:
        """Divide a band of one price that stands at the ceiling; its first page has come."""
        chosen = {name for name, _ in single.flags}
        probes = {
            name: (self._probe(single, name, value=True), self._probe(single, name, value=False))
            for name in self._flags
            if name not in chosen
        }
        yield Wait(tuple(probe for pair in probes.values() for probe in pair), "first")
        halves = [pair for pair in probes.values() if self._halves(*pair)]
        if halves:
            for half in min(halves, key=lambda pair: max(pair[0].total, pair[1].total)):
                self._walk(single, half)
            return
        excluding = [name for name, pair in probes.items() if _excludes(part, *pair)]
        if excluding:
            best = max(excluding, key=lambda name: min(probe.total for probe in probes[name]))
            for value, probe in zip((True, False), probes[best], strict=True):
                self._go_on(single.narrowed((best, value)), probe)
            return
        draft = yield from self._both_orders(single, part)
        more = draft.verdict == "short" or (draft.verdict == "uncertain" and draft.lacking)
        draft.done(gathers=more)
        if more:
            yield from self._what_filters_add(single, part, probes, draft)

    def _both_orders(self, single: SinglePrice, part: Part) -> Generator[Wait, None, PlanDraft]:
        other = self._roster.open(
            self._asker.part(single.band, single.flags, opposite(single.sort))
        )
        yield Wait((other,), "first")
        # Where ties come in the same order both ways, the other way shows nothing else.
        both = other.walked or other.shown != part.shown
        draft = self._roster.draft([part, other] if both else [part], inner=bool(single.outer))
        self._gather(single, *draft.parts)
        yield Wait(tuple(draft.parts), "end")
        if draft.settle():
            draft.judge(self._meeting(part, other) if both else None)
        return draft

    def _meeting(self, part: Part, other: Part) -> Overlap | None:
        size, foreign = self._roster.page_size, part.foreign | other.foreign
        meeting = find_overlap(part.by_page(), other.by_page(), size, foreign=foreign)
        # A row that cannot be decoded cannot be known again where it is shown a second time.
        read = not (part.rejects or other.rejects)
        if meeting is None or (read and part.ended_within(other) and other.ended_within(part)):
            return meeting
        return msgspec.structs.replace(meeting, exact=False)

    def _what_filters_add(
        self, single: SinglePrice, part: Part, probes: _Probes, draft: PlanDraft
    ) -> Plan:
        """Go on with each value of each filter that has been seen to leave something out."""
        doubtful = []
        for name, pair in probes.items():
            for value, probe in zip((True, False), pair, strict=True):
                if probe.shown and (self._roster.fits(probe) or probe.shown != part.shown):
                    self._go_on(single.narrowed((name, value), draft), probe)
                elif probe.shown and not (not value and probe.shown & pair[0].shown):
                    doubtful.append((name, value, probe))
        checks = [self._check(single, name, probes, value=value) for name, value, _ in doubtful]
        yield Wait(tuple(check[0] for check in checks if check), "first")
        for (name, value, probe), check in zip(doubtful, checks, strict=True):
            if check is not None and check[0].total < check[1].total:
                self._go_on(single.narrowed((name, value), draft), probe)

    def _check(
        self, single: SinglePrice, name: str, probes: _Probes, *, value: bool
    ) -> tuple[Part, Part] | None:
        """What tells whether a filter filters: the same within the `true` of another, which fits.

        Then both totals are exact. Where they are the same, to walk what the filter shows would
        most likely be to walk the same again, and so would it where there is none to compare.
        """
        others = [(yes.total, other) for other, (yes, _) in probes.items() if other != name]
        fitting = [(total, other) for total, other in others if 0 < total < self._roster.ceiling]
        if not fitting:
            return None
        other = max(fitting)[1]
        within = self._probe(single.narrowed((other, True)), name, value=value)
        return within, probes[other][0]

    def _probe(self, single: SinglePrice, name: str, *, value: bool) -> Part:
        flags = (*single.flags, (name, value))
        return self._roster.open(self._asker.part(single.band, flags, single.sort))

    def _go_on(self, single: SinglePrice, part: Part) -> None:
        if self._roster.fits(part):
            self._walk(single, part)
        else:
            self._roster.spawn(self.divide(single, part), capped=True)

    def _walk(self, single: SinglePrice, part: Part) -> None:
        self._gather(single, part)
        self._roster.walk(part, inner=bool(single.outer))

    def _gather(self, single: SinglePrice, *parts: Part) -> None:
        for draft in single.outer:
            for part in parts:
                draft.gather(part)

    def _halves(self, yes: Part, no: Part) -> bool:
        both_fit = self._roster.fits(yes) and self._roster.fits(no)
        return both_fit and yes.total + no.total >= self._roster.ceiling


def _excludes(whole: Part, yes: Part, no: Part) -> bool:
    """Whether `false` has been seen to leave out something, and nothing contradicts it."""
    return bool(yes.shown) and no.shown != whole.shown and not no.shown & yes.shown
