"""Destinations are tried before anything is paid: opened, and left as they were."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import duckdb
import pytest

from tests.support.journals import of_rows, row
from tmapi_async.export import Export, ExportError, ExportRefusedError
from tmapi_async.export.destinations import ENDINGS

HOLD = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); print('open', flush=True); input()"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return an empty folder for the destinations."""
    path = tmp_path / "out"
    path.mkdir()
    return path


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_trial_leaves_no_trace(tmp_path: Path, folder: Path, ending: str) -> None:
    """Neither a new file nor a temporary one is left; an earlier file keeps its bytes."""
    journal = of_rows(tmp_path / "a.journal", row(1))
    target = folder / f"items{ending}"
    export = Export(journal, [str(target)], history=True)
    export.check_destinations("category-v1")
    assert list(folder.iterdir()) == []
    export.run()
    before = {path: path.read_bytes() for path in folder.iterdir()}
    export.check_destinations("category-v1")
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.skipif(sys.platform == "win32", reason="needs users of a POSIX system")
@pytest.mark.parametrize("ending", ENDINGS)
def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path, folder: Path, ending: str) -> None:
    """The file system is asked itself: permissions may change, and say little on some disks."""
    export = Export(tmp_path / "a.journal", [str(folder / f"items{ending}")])
    with unprivileged(folder), pytest.raises(ExportRefusedError, match="Permission denied"):
        export.check_destinations("category-v1")
    assert list(folder.iterdir()) == []


@contextmanager
def unprivileged(folder: Path) -> Iterator[None]:
    """Take the right to write into a folder from this process, whoever runs it."""
    folder.chmod(0o500)
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)
        folder.chmod(0o700)


@pytest.mark.slow
def test_a_database_that_another_program_has_open_is_told(tmp_path: Path, folder: Path) -> None:
    """A locked DuckDB file is noticed when it is tried, and when an export begins."""
    journal = of_rows(tmp_path / "a.journal", row(1))
    target = folder / "items.duckdb"
    Export(journal, [str(target)]).run()
    command = [sys.executable, "-c", HOLD, str(target)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe) as other:  # noqa: S603 - our own code
        assert other.stdout is not None
        assert other.stdout.readline() == b"open\n"
        export = Export(journal, [str(target)])
        with pytest.raises(ExportError, match="lock"):
            export.check_destinations("category-v1")
        with pytest.raises(ExportError, match="lock"):
            export.run()
        assert export.summary.pages == 0
        other.communicate(b"\n")
    assert list(folder.iterdir()) == [target]
    with duckdb.connect(str(target), read_only=True) as database:
        assert database.sql("SELECT count(*) FROM items").fetchall() == [(1,)]


def test_a_history_beside_the_file_is_tried_too(tmp_path: Path, folder: Path) -> None:
    """A folder in the place of the second file is refused before work."""
    export = Export(tmp_path / "a.journal", [str(folder / "items.jsonl")], history=True)
    (folder / "items.history.jsonl").mkdir()
    with pytest.raises(ExportRefusedError, match="not a plain file"):
        export.check_destinations("category-v1")
