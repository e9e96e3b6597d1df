"""Listings that a command reads: groups of listings that differ in their keys alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, TypeAlias

from tmapi_async.api.endpoints import Endpoint
from tmapi_async.api.listings import Listing, make_listing, read_params

Values: TypeAlias = "Sequence[int] | Sequence[str]"

_IDS = ("cat_id", "item_id")


class ListingGroup:
    """Listings that differ in their keys alone, created while they are iterated.

    Args:
        endpoint: Endpoint of all of them.
        params: Parameters that all of them have.
        keys: Values of each key parameter; each combination is a listing.
        repeated: Number of values left out because they were given before.

    Attributes:
        distinct: True if no listing comes twice: IDs have one spelling, texts may have several.

    Raises:
        InvalidRequestError: A value does not fit, or a required one is missing.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        params: Mapping[str, Any],
        keys: Mapping[str, Values],
        repeated: int = 0,
    ) -> None:
        self.repeated = repeated
        self.distinct = keys.keys() <= set(_IDS)
        self._endpoint = endpoint
        self._params = read_params(endpoint, params)
        self._keys = keys
        for name, values in keys.items():
            for value in values if name not in _IDS else ():  # the IDs were checked before
                read_params(endpoint, {name: value})
        if not keys:
            make_listing(endpoint, self._params)  # raises an error that names what is missing
        next(iter(self))  # an error in the common parameters would be an error in every listing

    def __len__(self) -> int:
        count = 1
        for values in self._keys.values():
            count *= len(values)
        return count

    def __iter__(self) -> Iterator[Listing]:
        combinations: list[dict[str, Any]] = [{}]
        *outer, (last_name, last_values) = self._keys.items()
        for name, values in outer:
            combinations = [
                {**combination, name: value} for combination in combinations for value in values
            ]
        for combination in combinations:
            params = {**self._params, **read_params(self._endpoint, combination)}
            for value in last_values:
                last = read_params(self._endpoint, {last_name: value})
                yield make_listing(self._endpoint, {**params, **last})


class ListingSet:
    """Every listing of a command, each once, created anew by each iteration.

    Args:
        groups: The groups.

    Attributes:
        repeated: Number of listings left out because they were given before.
        distinct: True if an iteration need not remember the listings to give each of them once.
    """

    def __init__(self, groups: Iterable[ListingGroup]) -> None:
        self._groups = list(groups)
        self.distinct = len(self._groups) == 1 and self._groups[0].distinct
        self.repeated = sum(group.repeated for group in self._groups)
        self._count = sum(map(len, self._groups))
        if len(self._groups) > 1:
            distinct = sum(1 for _ in self)
            self.repeated += self._count - distinct
            self._count = distinct

    def __len__(self) -> int:
        return self._count

    def samples(self) -> list[Listing]:
        """Return one listing of each group: the others have the same endpoint and filters."""
        return [listing for group in self._groups for listing in islice(group, 1)]

    def __iter__(self) -> Iterator[Listing]:
        if len(self._groups) == 1:
            yield from self._groups[0]
            return
        earlier: set[Listing] = set()
        for group in self._groups:
            for listing in group:
                if listing not in earlier:
                    earlier.add(listing)
                    yield listing
