"""Errors of the journal and its disk, each with what to do about it."""

from __future__ import annotations

from pathlib import Path

from .base import Recovery, TMAPIError


class JournalError(TMAPIError):
    """A journal cannot be used; nothing that was durable is lost.

    Attributes:
        path: The journal's file.
    """

    recovery = Recovery.HALT
    kind = "journal"
    meaning = "the journal cannot be used"

    def __init__(self, path: Path, message: str = "") -> None:
        super().__init__(message)
        self.path = path
        self.args = (path, message)  # BaseException.__reduce__ calls the class with args

    def __str__(self) -> str:
        what = f"{self.path}: {self.meaning}"
        if self.message:
            what = f"{what} ({self.message})"
        return f"{what}. {self.advice[0].upper()}{self.advice[1:]}" if self.advice else what


class NoJournalError(JournalError):
    """There is no such file."""

    kind = "no-journal"
    meaning = "there is no such journal"
    advice = "check the path; tmapi harvest --journal FILE makes one"


class NotAJournalError(JournalError):
    """The file is something else; it has not been touched."""

    kind = "not-a-journal"
    meaning = "this is not a journal of tmapi, and was left as it is"
    advice = "name another file: a new one is made where there is none"


class CorruptJournalError(JournalError):
    """The file is damaged: parts of it cannot be read."""

    kind = "corrupt"
    meaning = "the journal is damaged"
    advice = (
        "keep a copy; `sqlite3 FILE .recover` saves what can be read; restore a backup, or start "
        "a new journal"
    )


class NewerJournalError(JournalError):
    """The file was written by a newer version of this package, whose tables are not known here."""

    kind = "newer-journal"
    meaning = "the journal was written by a newer version of tmapi"
    advice = "upgrade tmapi-async, then run the same again; the journal was left as it is"


class OlderJournalError(JournalError):
    """The file was written by an older version and is opened for reading only."""

    kind = "older-journal"
    meaning = "the journal was written by an older version of tmapi"
    advice = "run tmapi harvest on it once: that brings its tables up to date and loses nothing"


class JournalInUseError(JournalError):
    """Another process writes to the journal.

    Attributes:
        pid: The process that holds it, or None if it could not be told.
    """

    kind = "in-use"
    meaning = "another process writes to this journal"
    advice = "wait for it or stop it, or name another journal; status and export work meanwhile"

    def __init__(self, path: Path, pid: int | None = None) -> None:
        super().__init__(path, f"pid {pid}" if pid is not None else "")
        self.pid = pid
        self.args = (path, pid)


class ReadOnlyJournalError(JournalError):
    """The file or its directory does not allow writing."""

    kind = "read-only"
    meaning = "the journal cannot be written"
    advice = "its file and its directory must be writable; nothing was sent"


class DiskError(JournalError):
    """The disk is full or fails; what was durable before stays so."""

    kind = "disk"
    meaning = "the journal's disk fails"
    advice = "mend the disk, then run the same again to go on: what was committed is safe"


class DiskFullError(DiskError):
    """The disk or the quota is full; what was durable before stays so."""

    kind = "disk-full"
    meaning = "the journal's disk is full"
    advice = "make room, then run the same again to go on: what was committed is safe"


class ChangedShapeError(TMAPIError):
    """Most rows of a page cannot be decoded: not a bad row, but a changed API."""

    kind = "changed"
    meaning = "the API seems to have changed"
    advice = (
        "the rows are kept: upgrade tmapi-async, run tmapi replay on the journal, then go on; or "
        "allow more with --most-rejects"
    )


class BodyError(JournalError):
    """A stored body cannot be decompressed: the file is damaged there."""

    kind = "body"
    meaning = "a stored page is damaged"
    advice = CorruptJournalError.advice
