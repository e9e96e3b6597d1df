"""Tables of the journal, as SQL.

The position of a page's row decides the cost of a commit. Rows are appended in the order of their
commits. So a small group changes one leaf of the table and one or two leaves of the index, however
many listings are walked side by side. A table ordered by listing would change a leaf for each page,
and leave a third of each leaf empty. Measured (`benchmarks/journal.py`): a database page of 32 KiB
has twelve bodies and leaves 6 % of the file unused; pages of 4 KiB leave 40 % unused.

`page_place` is unique: no page can be stored twice. A page that a later start requested once more,
and that showed rows which the visit lacked, has a number below 0: see `look_number`. Planning reads
visits, and only the pages of visits that a kill left open.

A visit that was walked in two sittings and shifted is stored as capped, with the kind `shifted` of
error: rows may be missing, and no start continues it.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

TABLES = """
CREATE TABLE run (
    id INTEGER PRIMARY KEY,
    started_at INTEGER NOT NULL,        -- milliseconds since 1970, UTC, as every *_at
    version TEXT NOT NULL               -- of this package
);
CREATE TABLE start (                    -- one process that worked on the journal
    id INTEGER PRIMARY KEY,
    run INTEGER NOT NULL REFERENCES run,
    started_at INTEGER NOT NULL,
    ended_at INTEGER,                   -- null: it runs, or was killed
    stopped_by TEXT,                    -- null: it went to its end, or was killed
    host TEXT NOT NULL,                 -- scheme, host and port; never a secret
    version TEXT NOT NULL,
    pid INTEGER NOT NULL
);
CREATE TABLE tick (                     -- what a start had counted, up to 720 times in its life
    start INTEGER NOT NULL REFERENCES start,
    n INTEGER NOT NULL,                 -- second of the start; the last row holds its totals
    elapsed_ms INTEGER NOT NULL,
    requests INTEGER NOT NULL,
    retries INTEGER NOT NULL,
    wasted INTEGER NOT NULL,
    pages INTEGER NOT NULL,
    items INTEGER NOT NULL,
    width INTEGER NOT NULL,             -- the gate's, at that moment
    codes TEXT NOT NULL,                -- JSON: code -> count
    PRIMARY KEY (start, n)
) WITHOUT ROWID;
CREATE TABLE listing (
    id INTEGER PRIMARY KEY,
    identity TEXT NOT NULL UNIQUE,      -- endpoint and canonical parameters; neither host nor token
    endpoint TEXT NOT NULL,
    params TEXT NOT NULL                -- JSON: [[name, value], ...]
);
CREATE TABLE visit (                    -- a listing in a run
    id INTEGER PRIMARY KEY,
    run INTEGER NOT NULL REFERENCES run,
    listing INTEGER NOT NULL REFERENCES listing,
    state TEXT NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'complete', 'capped', 'failed')),
    began_at INTEGER,                   -- null: nothing of it was asked for yet
    ended_at INTEGER,
    pages INTEGER, items INTEGER, unique_items INTEGER, rejects INTEGER,    -- once it has ended
    last_page INTEGER, total_count INTEGER,
    capped_at INTEGER,                  -- the --max-pages that cut it; null: it was not cut
    error_kind TEXT, error TEXT,
    UNIQUE (listing, run)
);
CREATE TABLE page (
    seq INTEGER PRIMARY KEY,            -- order of the commits; clocks may go backwards
    visit INTEGER NOT NULL REFERENCES visit,
    number INTEGER NOT NULL,
    start INTEGER NOT NULL REFERENCES start,
    fetched_at INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    latency_us INTEGER NOT NULL,
    code INTEGER NOT NULL,
    page_size INTEGER,
    has_next_page INTEGER NOT NULL,
    total_count INTEGER,
    items INTEGER NOT NULL,
    rejects INTEGER NOT NULL,
    dictionary INTEGER REFERENCES dictionary,
    body BLOB NOT NULL                  -- one zstd frame
);
CREATE UNIQUE INDEX page_place ON page (visit, number);
CREATE TABLE reject (
    seq INTEGER NOT NULL REFERENCES page,
    position INTEGER NOT NULL,
    reason TEXT NOT NULL,
    raw BLOB NOT NULL,                  -- the row's JSON, byte for byte
    PRIMARY KEY (seq, position)
) WITHOUT ROWID;
CREATE TABLE failed_page (
    visit INTEGER NOT NULL REFERENCES visit,
    number INTEGER NOT NULL,
    start INTEGER NOT NULL REFERENCES start,
    failed_at INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    kind TEXT NOT NULL,
    error TEXT NOT NULL,
    PRIMARY KEY (visit, number)
) WITHOUT ROWID;
CREATE TABLE dictionary (
    id INTEGER PRIMARY KEY,
    endpoint TEXT NOT NULL,
    content BLOB NOT NULL               -- one zstd frame
);
"""

_CATEGORIES = """
CREATE TABLE look (                     -- a look at the tree of categories, or at a part of it
    id INTEGER PRIMARY KEY,
    host TEXT,                          -- as that of a start; null: not told
    started_at INTEGER NOT NULL,
    ended_at INTEGER                    -- null: it was broken off
);
CREATE TABLE category (                 -- what the API answered about a category, last
    cat_id INTEGER PRIMARY KEY,         -- 0: the first level
    look INTEGER NOT NULL REFERENCES look,
    fetched_at INTEGER NOT NULL,
    body BLOB NOT NULL                  -- one zstd frame
);
"""

_DIVISIONS = """
CREATE TABLE part (                     -- a visit made on behalf of a listing that is divided
    visit INTEGER PRIMARY KEY REFERENCES visit,
    root INTEGER NOT NULL REFERENCES visit
);
CREATE INDEX part_root ON part (root);
CREATE TABLE division (                 -- what came of a listing that was walked in parts
    root INTEGER PRIMARY KEY REFERENCES visit,
    complete INTEGER NOT NULL,          -- all that the totals promise is proven to be there
    pages INTEGER NOT NULL, items INTEGER NOT NULL,     -- of the listing and of all its parts
    unique_items INTEGER NOT NULL, rejects INTEGER NOT NULL,
    promised INTEGER NOT NULL,          -- sum of the totals of the parts walked
    account TEXT NOT NULL               -- for people
);
"""

_SEAMS = """
CREATE TABLE seam (                     -- a stored page that a later start requested once more
    visit INTEGER NOT NULL REFERENCES visit,
    start INTEGER NOT NULL REFERENCES start,
    number INTEGER NOT NULL,
    looked_at INTEGER NOT NULL,
    rows_left INTEGER NOT NULL,         -- rows by which the ranking had slid towards its start
    rows_came INTEGER NOT NULL,         -- the same towards its end
    shifted TEXT,                       -- why rows may be missing, for people; null: they are not
    PRIMARY KEY (visit, start, number)
) WITHOUT ROWID;
"""

MIGRATIONS: tuple[str, ...] = (_CATEGORIES, _DIVISIONS, _SEAMS)
"""Scripts from version n+1 to n+2, each in one transaction with the new version."""


def split_statements(script: str) -> Iterator[str]:
    """Yield the statements of a script of `TABLES` or `MIGRATIONS`, one by one."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
