"""Record batches as CSV text: for spreadsheets, and for Postgres to copy in."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"

# What spreadsheets take for the begin of a formula, also after quotes and white space that some of
# them strip; the wide forms are taken for one where the locale is Chinese or Japanese.
_FORMULA = r"""^(?:[\t\r\n]|[\s"']*[=+\-@\x{FF1D}\x{FF0B}\x{FF0D}\x{FF20}])"""


def csv_schema(schema: pa.Schema) -> pa.Schema:
    """The schema of a table with its times as text."""
    return pa.schema(
        [
            pa.field(field.name, pa.string() if pa.types.is_timestamp(field.type) else field.type)
            for field in schema
        ]
    )


def for_spreadsheets(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Times in RFC 3339, and a `'` before each text that would be taken for a formula."""
    return pa.RecordBatch.from_arrays(
        [harmless(column) for column in batch.columns], schema=csv_schema(batch.schema)
    )


def harmless(column: pa.Array) -> pa.Array:
    """A column with a `'` before each text that would be taken for a formula; times as text."""
    if pa.types.is_timestamp(column.type):
        return pc.replace_substring(column.cast(pa.string()), " ", "T")
    if not pa.types.is_string(column.type) or column.null_count == len(column):
        return column
    column = without_nul(column)
    formula = pc.match_substring_regex(column, _FORMULA)
    if not pc.any(formula).as_py():
        return column
    return pc.if_else(formula, pc.binary_join_element_wise("'", column, ""), column)


def without_nul(column: pa.Array) -> pa.Array:
    """U+FFFD for each U+0000, which neither Postgres nor most readers of CSV can hold."""
    return pc.replace_substring(column, "\0", _REPLACEMENT)
