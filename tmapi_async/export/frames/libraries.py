"""Arrow tables as data frames of polars and pandas, which are extras."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from tmapi_async.errors import ExportRefusedError
from tmapi_async.errors.shown_value import show_value
from tmapi_async.export.outputs.extra_checks import check_extra

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

Decimals: TypeAlias = Literal["object", "arrow"]
"""Exact numbers in pandas: `decimal.Decimal` objects, or the decimals of Arrow."""

_NEEDED = {
    "arrow": ("pyarrow",),
    "polars": ("polars", "pyarrow"),
    "pandas": ("pandas", "pyarrow"),
}


def check_library(extra: str, method: str) -> None:
    """Check that the libraries of a method are installed.

    Args:
        extra: The extra of this package that installs them.
        method: Name of the method, for the message.

    Raises:
        ExportRefusedError: A library is missing; the message says how to install it.
    """
    check_extra(f"{method}()", extra, _NEEDED[extra])


def check_decimals(decimals: str) -> None:
    """Refuse a form of decimals that does not exist.

    Raises:
        ExportRefusedError: There is no such form.
    """
    if decimals not in ("object", "arrow"):
        raise ExportRefusedError(
            f"decimals must be 'object' or 'arrow', not {show_value(decimals)}"
        )


def polars_frame(table: pa.Table) -> pl.DataFrame:
    """Return a table as a data frame of polars, with columns of `Decimal`."""
    import polars as pl  # noqa: PLC0415 - an extra

    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)  # noqa: S101 - for mypy: an array would be a series
    return frame


def pandas_frame(table: pa.Table, decimals: Decimals) -> pd.DataFrame:
    """Return a table as a data frame of pandas.

    Whole numbers stay whole and flags stay flags where values are missing, because all columns but
    the decimals have types of Arrow.

    Args:
        table: The table.
        decimals: Form of the exact numbers. Objects can be multiplied and divided; Arrow's decimals
            need a fifth of the memory, and pandas calculates with them only in part.
    """
    import pandas as pd  # noqa: PLC0415 - an extra
    import pyarrow as pa  # noqa: PLC0415 - an extra

    def column_type(kind: pa.DataType) -> Any:
        as_object = decimals == "object" and pa.types.is_decimal(kind)
        return None if as_object else pd.ArrowDtype(kind)

    return table.to_pandas(types_mapper=column_type)
