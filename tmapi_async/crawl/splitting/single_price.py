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
    """

    band: Band
    flags: Flags
    sort: str

    def with_flag(self, flag: tuple[str, bool]) -> SinglePrice:
        """Return a copy with one more filter."""
        return msgspec.structs.replace(self, flags=(*self.flags, flag))


class PriceDivision:
    """The division of one listing of a single price.

    Several divisions can lead to the same set of filters. That set is divided once, and its items
    count for all of them.

    Attributes:
        piece: Piece of both orders of prices, once they have been walked and show too little.
    """

    __slots__ = ("_containers", "_parts", "piece")

    def __init__(self, container: PriceDivision | None = None) -> None:
        self.piece: OpenPiece | None = None
        self._containers = [] if container is None else [container]
        self._parts: dict[Part, None] = {}

    @property
    def is_inner(self) -> bool:
        """True if the listing lies within a piece that was walked."""
        return any(outer.piece is not None or outer.is_inner for outer in self._containers)

    def include(self, part: Part) -> None:
        """Count the items of a part, here and in every division that contains this one."""
        if part in self._parts:
            return
        self._parts[part] = None
        part.keep_ids = True
        if self.piece is not None:
            self.piece.include(part)
        for outer in self._containers:
            outer.include(part)

    def add_container(self, container: PriceDivision) -> None:
        """Let another division count the items of this one, those of later parts too."""
        self._containers.append(container)
        for part in self._parts:
            container.include(part)


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
        self._divisions: dict[Part, PriceDivision] = {}

    def divide(
        self, price: SinglePrice, part: Part, *, container: PriceDivision | None = None
    ) -> Plan:
        """Divide a band of one price at the ceiling, whose first page has come.

        Args:
            price: The band, with the filters set in it.
            part: Its listing.
            container: PriceDivision that contains this one.
        """
        division = self._divisions[part] = PriceDivision(container)
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
                self._walk(division, half)
            return
        excluding = [name for name, pair in probes.items() if _excludes(part, *pair)]
        if excluding:
            best = max(excluding, key=lambda name: min(probe.total for probe in probes[name]))
            for value, probe in zip((True, False), probes[best], strict=True):
                self._walk_or_divide(division, price.with_flag((best, value)), probe)
            return
        piece = yield from self._walk_both_orders(division, price, part)
        more = piece.verdict == "short" or (piece.verdict == "uncertain" and piece.incomplete)
        piece.release(keep_items=more)
        if more:
            division.piece = piece
            yield from self._walk_filter_values(division, price, part, probes)

    def _walk_both_orders(
        self, division: PriceDivision, price: SinglePrice, part: Part
    ) -> Generator[Wait, None, OpenPiece]:
        listing = self._builder.listing(price.band, price.flags, opposite_order(price.sort))
        other = self._runner.open(listing)
        yield Wait((other,), "first")
        # If ties come in the same order both ways, the other order shows nothing else.
        both = other.full_walk or other.first_ids != part.first_ids
        parts = [part, other] if both else [part]
        # Both last pages are asked for when all others have been read: see `covers_rest_of`.
        piece = self._runner.start_piece(parts, inner=division.is_inner, pauses=both)
        for walked in parts:
            division.include(walked)
        yield Wait(tuple(piece.parts), "pause")
        for walked in parts:
            self._runner.go_on(walked)
        yield Wait(tuple(piece.parts), "end")
        if piece.settle():
            piece.apply_overlap(self._overlap(part, other) if both else None)
        return piece

    def _overlap(self, part: Part, other: Part) -> Overlap | None:
        size, foreign = self._runner.page_size, part.foreign | other.foreign
        overlap = find_overlap(part.ids_by_page(), other.ids_by_page(), size, foreign=foreign)
        if overlap is None or not overlap.exact:
            return overlap
        # A row that cannot be decoded cannot be recognised when it is shown a second time.
        readable = not (part.rejects or other.rejects)
        covered = part.covers_rest_of(other) and other.covers_rest_of(part)
        exact = readable and covered and not part.was_interrupted_with(other)
        return msgspec.structs.replace(overlap, exact=exact)

    def _walk_filter_values(
        self, division: PriceDivision, price: SinglePrice, part: Part, probes: _Probes
    ) -> Plan:
        """Go on with each value of each filter that has been seen to leave something out."""
        doubtful = []
        for name, pair in probes.items():
            for value, probe in zip((True, False), pair, strict=True):
                differs = self._runner.fits(probe) or probe.first_ids != part.first_ids
                if probe.first_ids and differs:
                    self._walk_or_divide(division, price.with_flag((name, value)), probe)
                elif probe.first_ids and not (not value and probe.first_ids & pair[0].first_ids):
                    doubtful.append((name, value, probe))
        checks = [self._compare(price, name, probes, value=value) for name, value, _ in doubtful]
        yield Wait(tuple(check[0] for check in checks if check), "first")
        for (name, value, probe), check in zip(doubtful, checks, strict=True):
            if check is not None and check[0].total < check[1].total:
                self._walk_or_divide(division, price.with_flag((name, value)), probe)

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

    def _walk_or_divide(self, container: PriceDivision, price: SinglePrice, part: Part) -> None:
        if self._runner.fits(part):
            self._walk(container, part)
        elif part in self._divisions:
            self._divisions[part].add_container(container)
        else:
            self._runner.spawn(self.divide(price, part, container=container), capped=True)

    def _walk(self, container: PriceDivision, part: Part) -> None:
        container.include(part)
        inner = container.piece is not None or container.is_inner
        self._runner.walk(part, inner=inner)

    def _covers(self, yes: Part, no: Part) -> bool:
        both_fit = self._runner.fits(yes) and self._runner.fits(no)
        return both_fit and yes.total + no.total >= self._runner.ceiling


def _excludes(whole: Part, yes: Part, no: Part) -> bool:
    """Return True if `false` was seen to leave something out, and nothing contradicts that."""
    differs = no.first_ids != whole.first_ids
    return bool(yes.first_ids) and differs and not no.first_ids & yes.first_ids
