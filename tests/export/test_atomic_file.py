"""Files that appear complete or not at all."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.journals import body, of_rows, row, write
from tmapi_async.export import export_journal
from tmapi_async.export.atomic_file import AtomicFile


def names(folder: Path) -> list[str]:
    """Return the names of the files in a folder."""
    return [path.name for path in folder.iterdir()]


NAMES = ("a.parquet", "a.csv", "a.jsonl", "a.jsonl.zst", "a.duckdb")


KILLED = """
import os, signal, sys
from tmapi_async.export import atomic_file, chunks, export_journal

chunks.CHUNK_PAGES = 2
journal, target, when = sys.argv[1:]

def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)

replace = atomic_file.Path.replace
if when == "before":
    atomic_file.Path.replace = die
elif when == "after":
    atomic_file.Path.replace = lambda self, to: (replace(self, to), die())
export_journal(journal, [target], on_progress=die if when == "rows" else lambda _: None)
"""


@pytest.mark.parametrize("when", ["rows", "before", "after"])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.slow
def test_a_kill_leaves_the_old_file_or_the_new_one(tmp_path: Path, name: str, when: str) -> None:
    """After `kill -9` the old or the new file exists; the next export removes temporary files."""
    target = tmp_path / "out" / name
    target.parent.mkdir()
    export_journal(of_rows(tmp_path / "old.journal", row(1)), [str(target)])
    old = target.read_bytes()
    pages = [body([row(n)]) for n in range(1, 9)]
    journal = write(tmp_path / "a.journal", {7: pages})
    child = subprocess.run(  # noqa: S603 - our own script
        [sys.executable, "-c", KILLED, str(journal), str(target), when],
        check=False,
        capture_output=True,
        timeout=60,
    )
    assert child.returncode == -signal.SIGKILL, child.stderr.decode()
    assert len(names(target.parent)) == 3  # the file, the temporary folder and its lock
    assert (target.read_bytes() == old) is (when != "after")
    export_journal(journal, [str(target)])
    assert names(target.parent) == [name]
    assert target.read_bytes() != old


def test_a_file_in_the_making_is_left_to_its_process(tmp_path: Path) -> None:
    """Files of a running export are not removed; the export that finishes last wins."""
    target = tmp_path / "a.csv"
    first, second = AtomicFile(target), AtomicFile(target)
    first.temporary.write_text("first")
    second.temporary.write_text("second")
    first.commit()
    assert target.read_text() == "first"
    second.commit()
    assert target.read_text() == "second"
    assert names(tmp_path) == ["a.csv"]


def test_a_file_keeps_its_mode_and_its_links(tmp_path: Path) -> None:
    """The target of a symbolic link is replaced and keeps its permissions."""
    (tmp_path / "real").mkdir()
    real = tmp_path / "real" / "data.jsonl"
    real.write_text("old")
    real.chmod(0o604)
    link = tmp_path / "link.jsonl"
    link.symlink_to(real)
    export_journal(of_rows(tmp_path / "a.journal", row(1)), [str(link)])
    assert link.is_symlink()
    assert b'"item_id":1' in real.read_bytes()
    assert real.stat().st_mode & 0o777 == 0o604


@pytest.mark.parametrize("ends", [["", ".lock"], [""], [".lock"]])
def test_leftovers_of_a_killed_process_are_removed(tmp_path: Path, ends: list[str]) -> None:
    """A folder whose lock nobody holds is removed, also one without a lock, or a lock alone."""
    target = tmp_path / "a [1].csv"
    for end in ends:
        leftover = tmp_path / f".{target.name}.0123abcd.tmapi-part{end}"
        leftover.touch() if end else leftover.mkdir()
    AtomicFile(target).discard()
    assert names(tmp_path) == []


def test_a_long_name_is_written_too(tmp_path: Path) -> None:
    """The names of the temporary files fit a file system, whatever the length of the name."""
    target = tmp_path / ("\N{CJK UNIFIED IDEOGRAPH-4E00}" * 83 + ".csv")
    file = AtomicFile(target)
    file.temporary.write_text("x")
    assert file.commit() == 1
    assert names(tmp_path) == [target.name]


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a file system without files")
def test_a_folder_in_which_no_file_can_be_created_is_an_error() -> None:
    """A file system that refuses the lock file must not be tried again forever."""
    with pytest.raises(OSError, match="No such file or directory"):
        AtomicFile(Path("/proc/items.csv"))
