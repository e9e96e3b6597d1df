"""Errors of the journal and its disk."""

from __future__ import annotations

from pathlib import Path

from .base_error import Recovery, TMAPIError


class JournalError(TMAPIError):
    """A journal cannot be used; pages that were durable are not lost.

    Attributes:
        path: File of the journal.
    """

    recovery = Recovery.HALT
    kind = "journal"
    meaning = "the journal cannot be used"

    def __init__(self, path: Path, message: str = "") -> None:
        super().__init__(message)
        self.path = path
        self.args = (path, message)  # BaseException.__reduce__ calls the class with args

    def __str__(self) -> str:
        text = f"{self.path}: {self.meaning}"
        if self.message:
            text = f"{text} ({self.message})"
        return f"{text}. {self.advice[0].upper()}{self.advice[1:]}" if self.advice else text


class NoJournalError(JournalError):
    """The file does not exist."""

    kind = "no-journal"
    meaning = "there is no such journal"
    advice = "check the path; `tmapi harvest --journal FILE` makes a journal"


class NotAJournalError(JournalError):
    """The file is not a journal. It was not changed."""

    kind = "not-a-journal"
    meaning = "this is not a journal of tmapi; it was not changed"
    advice = "name a file that does not exist yet: it becomes a new journal"


class CorruptJournalError(JournalError):
    """The file is damaged: parts of it cannot be read."""

    kind = "corrupt"
    meaning = "the journal is damaged"
    advice = (
        "restore a backup, or run `tmapi repair FILE NEW_FILE`: it saves every page that can be "
        "read, and does not change FILE"
    )


class NewerJournalError(JournalError):
    """The file was written by a newer version of this package, with tables unknown to this one."""

    kind = "newer-journal"
    meaning = "the journal was written by a newer version of tmapi"
    advice = "upgrade tmapi-async, then run the same command again; the journal was not changed"


class OlderJournalError(JournalError):
    """An older version wrote the file; it cannot be opened read-only until it is upgraded."""

    kind = "older-journal"
    meaning = "the journal was written by an older version of tmapi"
    advice = "run `tmapi harvest` on it once: that updates its tables, and no page is lost"


class JournalInUseError(JournalError):
    """Another process writes to the journal.

    Attributes:
        pid: ID of the process that holds the journal, or None if it is unknown.
    """

    kind = "in-use"
    meaning = "another process writes to this journal"
    advice = (
        "wait for that process or stop it, or name another journal; `tmapi status` and "
        "`tmapi export` work meanwhile"
    )

    def __init__(self, path: Path, pid: int | None = None) -> None:
        super().__init__(path, f"pid {pid}" if pid is not None else "")
        self.pid = pid
        self.args = (path, pid)


class ReadOnlyJournalError(JournalError):
    """The file or its directory does not allow writing."""

    kind = "read-only"
    meaning = "the journal cannot be written; nothing was sent"
    advice = "make the file and its directory writable"


class DiskError(JournalError):
    """The disk is full or fails; pages that were durable stay so."""

    kind = "disk"
    meaning = "the journal's disk fails"
    advice = (
        "repair the disk, then run the same command again to continue: committed pages are safe"
    )


class DiskFullError(DiskError):
    """The disk or the quota is full; pages that were durable stay so."""

    kind = "disk-full"
    meaning = "the journal's disk is full"
    advice = (
        "free some space, then run the same command again to continue: committed pages are safe"
    )


class LockedJournalError(DiskError):
    """Another program, such as a database browser, keeps the journal locked."""

    kind = "locked"
    meaning = "another program has locked the journal"
    advice = (
        "close that program, for example a database browser with unsaved changes, then run the "
        "same command again to continue: committed pages are safe"
    )


class MovedJournalError(DiskError):
    """The file was removed, moved or replaced while it was written; the harvest has stopped."""

    kind = "moved"
    meaning = "the journal was removed, moved or replaced while it was written"
    advice = (
        "put the journal back, or rename the saved copy to its name, then run the same command "
        "again to continue"
    )


class ChangedShapeError(TMAPIError):
    """Most rows of a page cannot be decoded: the API has changed, not just one row."""

    kind = "changed"
    meaning = "the API seems to have changed"
    advice = (
        "the rows are stored: upgrade tmapi-async, run `tmapi replay` on the journal, then run the "
        "same command again; or allow more unreadable rows with --most-rejects"
    )


class BodyError(JournalError):
    """A stored page cannot be decompressed: this part of the file is damaged."""

    kind = "body"
    meaning = "a stored page is damaged"
    advice = CorruptJournalError.advice
