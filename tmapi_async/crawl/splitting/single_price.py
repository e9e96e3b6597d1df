"""Plans for a price that fills the ceiling alone. No I/O.

A band of one price that is still at the ceiling is divided by the first of these that applies:

1. a boolean filter with two values that both fit, and together promise at least the ceiling;
2. a filter whose `false` has been seen to leave out what `true` shows: each value is divided on;
3. both orders of prices: if they overlap, they have shown everything, or nearly (see `overlap`);
4. if they do not overlap, each value of a filter that has been seen to leave something out.

The API document does not say what `false` means. So nothing relies on its meaning, only on what an
answer has shown. Step 3 comes before step 4, because the parts of step 4 are those of step 3 again
if `false` filters nothing.
"""

from __future__ import annotations

from collections.abc import Generator
from typing import TypeAlias

import msgspec

from .overlap import Overlap, find_overlap
from .plan_runner import OpenPiece, Plan, PlanRunner, Wait
from .price_bands import Band
from .queries import Flags, QueryBuilder, opposite_order
from .split_parts import Part


class SinglePrice(msgspec.Struct, frozen=True):
    """A band that prices cannot divide, with the filters set in it.

    Attributes:
        band: The band.
        flags: The filters.
        sort: An order of prices.
        outer: Pieces that contain this one.
    """

    band: Band
    flags: Flags
    sort: str
    outer: tuple[OpenPiece, ...] = ()

    def with_flag(self, flag: tuple[str, bool], *outer: OpenPiece) -> SinglePrice:
        """Return a copy with one more filter, within `outer` too."""
        flags = (*self.flags, flag)
        return msgspec.structs.replace(self, flags=flags, outer=(*self.outer, *outer))


_Probes: TypeAlias = dict[str, tuple[Part, Part]]


class SinglePricePlans:
    """The plans of one division for single prices.

    Args:
        runner: Runs them.
        builder: Builds the listings of parts.
        flags: Boolean filters that may be set.
    """

    def __init__(self, runner: PlanRunner, builder: QueryBuilder, flags: tuple[str, ...]) -> None:
        self._runner = runner
        self._builder = builder
        self._flags = flags

    def divide(self, price: SinglePrice, part: Part) -> Plan:
        """Divide a band of one price at the ceiling, whose first page has come."""
        used = {name for name, _ in price.flags}
        probes = {
            name: (self._probe(price, name, value=True), self._probe(price, name, value=False))
            for name in self._flags
            if name not in used
        }
        yield Wait(tuple(probe for pair in probes.values() for probe in pair), "first")
        covering = [pair for pair in probes.values() if self._covers(*pair)]
        if covering:
            for half in min(covering, key=lambda pair: max(pair[0].total, pair[1].total)):
                self._walk(price, half)
            return
        excluding = [name for name, pair in probes.items() if _excludes(part, *pair)]
        if excluding:
            best = max(excluding, key=lambda name: min(probe.total for probe in probes[name]))
            for value, probe in zip((True, False), probes[best], strict=True):
                self._walk_or_divide(price.with_flag((best, value)), probe)
            return
        piece = yield from self._walk_both_orders(price, part)
        more = piece.verdict == "short" or (piece.verdict == "uncertain" and piece.incomplete)
        piece.release(keep_items=more)
        if more:
            yield from self._walk_filter_values(price, part, probes, piece)

    def _walk_both_orders(self, price: SinglePrice, part: Part) -> Generator[Wait, None, OpenPiece]:
        listing = self._builder.listing(price.band, price.flags, opposite_order(price.sort))
        other = self._runner.open(listing)
        yield Wait((other,), "first")
        # If ties come in the same order both ways, the other order shows nothing else.
        both = other.full_walk or other.first_ids != part.first_ids
        parts = [part, other] if both else [part]
        piece = self._runner.start_piece(parts, inner=bool(price.outer))
        self._include(price, *piece.parts)
        yield Wait(tuple(piece.parts), "end")
        if piece.settle():
            piece.apply_overlap(self._overlap(part, other) if both else None)
        return piece

    def _overlap(self, part: Part, other: Part) -> Overlap | None:
        size, foreign = self._runner.page_size, part.foreign | other.foreign
        overlap = find_overlap(part.ids_by_page(), other.ids_by_page(), size, foreign=foreign)
        # A row that cannot be decoded cannot be recognised when it is shown a second time.
        readable = not (part.rejects or other.rejects)
        if overlap is None or (readable and part.ended_within(other) and other.ended_within(part)):
            return overlap
        return msgspec.structs.replace(overlap, exact=False)

    def _walk_filter_values(
        self, price: SinglePrice, part: Part, probes: _Probes, piece: OpenPiece
    ) -> Plan:
        """Go on with each value of each filter that has been seen to leave something out."""
        doubtful = []
        for name, pair in probes.items():
            for value, probe in zip((True, False), pair, strict=True):
                differs = self._runner.fits(probe) or probe.first_ids != part.first_ids
                if probe.first_ids and differs:
                    self._walk_or_divide(price.with_flag((name, value), piece), probe)
                elif probe.first_ids and not (not value and probe.first_ids & pair[0].first_ids):
                    doubtful.append((name, value, probe))
        checks = [self._compare(price, name, probes, value=value) for name, value, _ in doubtful]
        yield Wait(tuple(check[0] for check in checks if check), "first")
        for (name, value, probe), check in zip(doubtful, checks, strict=True):
            if check is not None and check[0].total < check[1].total:
                self._walk_or_divide(price.with_flag((name, value), piece), probe)

    def _compare(
        self, price: SinglePrice, name: str, probes: _Probes, *, value: bool
    ) -> tuple[Part, Part] | None:
        """Return two parts whose totals show if a filter has an effect, or None if there are none.

        The second part is the `true` of another filter, which fits; the first part is the filter
        within that one. Both totals are exact. If they are equal, a walk of the filter would most
        likely bring the same items again. The same is assumed if there is nothing to compare.
        """
        others = [(yes.total, other) for other, (yes, _) in probes.items() if other != name]
        fitting = [(total, other) for total, other in others if 0 < total < self._runner.ceiling]
        if not fitting:
            return None
        other = max(fitting)[1]
        within = self._probe(price.with_flag((other, True)), name, value=value)
        return within, probes[other][0]

    def _probe(self, price: SinglePrice, name: str, *, value: bool) -> Part:
        flags = (*price.flags, (name, value))
        return self._runner.open(self._builder.listing(price.band, flags, price.sort))

    def _walk_or_divide(self, price: SinglePrice, part: Part) -> None:
        if self._runner.fits(part):
            self._walk(price, part)
        else:
            self._runner.spawn(self.divide(price, part), capped=True)

    def _walk(self, price: SinglePrice, part: Part) -> None:
        self._include(price, part)
        self._runner.walk(part, inner=bool(price.outer))

    def _include(self, price: SinglePrice, *parts: Part) -> None:
        for piece in price.outer:
            for part in parts:
                piece.include(part)

    def _covers(self, yes: Part, no: Part) -> bool:
        both_fit = self._runner.fits(yes) and self._runner.fits(no)
        return both_fit and yes.total + no.total >= self._runner.ceiling


def _excludes(whole: Part, yes: Part, no: Part) -> bool:
    """Return True if `false` was seen to leave something out, and nothing contradicts that."""
    differs = no.first_ids != whole.first_ids
    return bool(yes.first_ids) and differs and not no.first_ids & yes.first_ids
