"""Record batches as CSV text that is safe to open in a spreadsheet and to copy into Postgres."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"

# Text that spreadsheets read as the start of a formula. Some of them strip leading quotes and
# white space first; those with a Chinese or Japanese locale also accept the full-width signs.
_FORMULA = r"""^(?:[\t\r\n]|[\s"']*[=+\-@\x{FF1D}\x{FF0B}\x{FF0D}\x{FF20}])"""


def csv_schema(schema: pa.Schema) -> pa.Schema:
    """Return the schema of a table with its timestamps as text."""
    return pa.schema(
        [
            pa.field(field.name, pa.string() if pa.types.is_timestamp(field.type) else field.type)
            for field in schema
        ]
    )


def spreadsheet_batch(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Write timestamps in RFC 3339, and a `'` before each text that looks like a formula."""
    return pa.RecordBatch.from_arrays(
        [escape_formulas(column) for column in batch.columns], schema=csv_schema(batch.schema)
    )


def escape_formulas(column: pa.Array) -> pa.Array:
    """Put a `'` before each text that looks like a formula; write timestamps as text."""
    if pa.types.is_timestamp(column.type):
        return time_texts(column)
    if not pa.types.is_string(column.type) or column.null_count == len(column):
        return column
    column = replace_nul(column)
    formula = looks_like_formula(column)
    if not pc.any(formula).as_py():
        return column
    return pc.if_else(formula, pc.binary_join_element_wise("'", column, ""), column)


def time_texts(column: pa.Array) -> pa.Array:
    """Return times as text in the form of RFC 3339."""
    return pc.replace_substring(column.cast(pa.string()), " ", "T")


def looks_like_formula(column: pa.Array) -> pa.Array:
    """Return a mask of the texts that a spreadsheet reads as a formula."""
    return pc.match_substring_regex(column, _FORMULA)


def replace_nul(column: pa.Array) -> pa.Array:
    """Replace each U+0000 by U+FFFD: neither Postgres nor most CSV readers accept U+0000."""
    return pc.replace_substring(column, "\0", _REPLACEMENT)
