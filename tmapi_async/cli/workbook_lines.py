"""Limits of Excel that an export met, as text."""

from __future__ import annotations

from collections.abc import Iterator

from tmapi_async.errors.quantities import quantity
from tmapi_async.export.sinks import DestinationResult


def workbook_lines(result: DestinationResult) -> Iterator[str]:
    """Yield the limits of Excel that an export met."""
    if result.more_files:
        yield (
            f"{result.to}: a sheet holds 1,048,576 rows: the rows after them are in "
            f"{', '.join(result.more_files)}"
        )
    if result.old_files:
        verb = "is" if len(result.old_files) == 1 else "are"
        yield f"warning: {', '.join(result.old_files)} {verb} of an earlier export: remove by hand"
    if result.plain_addresses:
        yield (
            f"{result.to}: {quantity(result.plain_addresses, 'address', 'addresses')} without a "
            "link: Excel allows 65,530 links a sheet"
        )
    if result.cut:
        yield (
            f"warning: {result.to}: {quantity(result.cut, 'text')} cut: a cell holds "
            "32,767 characters"
        )
