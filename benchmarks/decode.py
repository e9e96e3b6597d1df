"""Measure processor time to decode a page, by kind of struct and with bad rows.

    python -m benchmarks.decode [--quick] [--turns 15]

Every decoder decodes the same pages of 20 items (12.7 KB), in turns, in one process. The last 64
pages stay in memory, as the pages do that a walk holds ready, so that the work of the garbage
collector on rows is included. The ratio is to the bare typed decoder. A full run writes
`benchmarks/results/decode.json`.
"""

from __future__ import annotations

import argparse
import gc
import json
import sys
import time
from collections import deque
from collections.abc import Callable
from typing import Any, get_args

import msgspec

from tmapi_async import Item
from tmapi_async.api.decoding import ItemDecoder

from .common import (
    CLIENT_CORE,
    compare,
    pin,
    promise,
    report_promises,
    save_ratios,
    table,
    take_turns,
    write,
)
from .server import bodies

Way = Callable[[bytes], object]

KEPT = 64
BASELINE = "typed"
OURS = "the library's decoder"
COLUMNS = {
    "client": "way",
    "cpu_us": "CPU a page, us|.1f",
    "from": "1st quartile|.1f",
    "to": "3rd quartile|.1f",
    "ratio": "of typed|.2f",
}


def like(struct: Any, **options: Any) -> Any:
    """Copy a struct type and the struct types inside, with other options."""
    fields = []
    for field in msgspec.structs.fields(struct):
        inner = [one for one in get_args(field.type) if hasattr(one, "__struct_fields__")]
        kind = like(inner[0], **options) | None if inner else field.type
        fields.append((field.name, kind) if field.required else (field.name, kind, field.default))
    return msgspec.defstruct(struct.__name__, fields, kw_only=True, **options)


def envelope(item: Any, **options: Any) -> msgspec.json.Decoder[Any]:
    """Return a decoder of a page whose rows have the given type."""
    fields: list[Any] = [("has_next_page", bool), ("items", list[item])]
    data = msgspec.defstruct("Data", fields, **options)
    return msgspec.json.Decoder(msgspec.defstruct("Envelope", [("data", data)], **options))


def row_by_row() -> Way:
    """Return a decoder that splits rows as raw bytes first, then decodes each row."""
    whole, one = envelope(msgspec.Raw, gc=False), msgspec.json.Decoder(like(Item, gc=False))
    return lambda body: [one.decode(raw) for raw in whole.decode(body).data.items]


def ways() -> dict[str, Way]:
    """Return every decoder by name."""
    narrow = msgspec.defstruct("Narrow", [("item_id", int)], gc=False)
    return {
        OURS: ItemDecoder(Item).decode,
        BASELINE: envelope(like(Item, gc=False), gc=False).decode,
        "typed, frozen": envelope(like(Item, gc=False, frozen=True), gc=False).decode,
        "typed, tracked by the garbage collector": envelope(like(Item)).decode,
        "typed, row by row": row_by_row(),
        "only the IDs": envelope(narrow, gc=False).decode,
        "rows left as bytes": envelope(msgspec.Raw, gc=False).decode,
        "dicts (msgspec)": msgspec.json.decode,
        "dicts (json)": json.loads,
        "ours, a field that no struct knows": ItemDecoder(Item).decode,
        "ours, a row that does not fit": ItemDecoder(Item).decode,
    }


def spoilt(body: bytes, how: str) -> bytes:
    """Change one row of a page for the decoders that are measured with a drifted row."""
    if how.endswith("no struct knows"):
        return body.replace(b'"item_id":', b'"new":1,"item_id":', 1)
    if how.endswith("does not fit"):
        return body.replace(b'"item_id":', b'"item_id":"x","was":', 1)
    return body


def measure(name: str, way: Way, pages: list[bytes], rounds: int) -> dict[str, float]:
    """Measure processor time per page of one decoder."""
    pages = [spoilt(body, name) for body in pages]
    kept: deque[object] = deque(maxlen=KEPT)
    gc.collect()
    began = time.process_time()
    for _ in range(rounds):
        for body in pages:
            kept.append(way(body))
    cpu = time.process_time() - began
    count = rounds * len(pages)
    return {"cpu_us": cpu / count * 1e6, "pages_per_second": count / cpu}


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="shorter, and nothing is written")
    parser.add_argument("--turns", type=int, default=None, help="(15; with --quick 7)")
    options = parser.parse_args()
    options.turns = options.turns or (7 if options.quick else 15)
    pin(CLIENT_CORE)
    pages, all_ways = bodies(20)[:20], ways()
    ItemDecoder(Item).decode(pages[0])
    rounds = 10 if options.quick else 40
    workload = f"pages of 20 items (12.7 KB), {rounds * 20} a turn, {options.turns} turns"
    print(workload)
    results = take_turns(
        list(all_ways),
        options.turns,
        lambda name: measure(name, all_ways[name], pages, rounds),
    )
    rows = compare(results, "cpu_us", BASELINE)
    print(table(rows, COLUMNS))
    ratio = {row["client"]: row["ratio"] for row in rows}
    if options.quick:
        drifted = ratio["ours, a row that does not fit"] / ratio[OURS]
        save_ratios("decode", {"ours/typed": ratio[OURS], "bad row/ours": drifted})
        return 0
    verdicts = [promise("the library's decoder beside the bare typed one", ratio[OURS], 1.15)]
    content = {"rows": rows, "musts": verdicts}
    print(f"written: {write('decode', workload, content, [table(rows, COLUMNS)])}")
    return report_promises(verdicts)


if __name__ == "__main__":
    sys.exit(main())
