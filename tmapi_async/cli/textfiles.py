"""Small text files that a command is told by: job files, keywords, tokens."""

from __future__ import annotations

from pathlib import Path

from tmapi_async.errors import InvalidRequestError

LARGEST_FILE = 64 * 2**20


def read_text(path: Path, what: str, *, most: int = LARGEST_FILE) -> str:
    """Read a file as UTF-8, with or without a byte order mark, whatever ends its lines.

    Args:
        path: The file; a pipe will do.
        what: What the file is called in messages.
        most: Largest size, in bytes.

    Raises:
        InvalidRequestError: It cannot be read, is larger, or is not UTF-8.
    """
    try:
        # Not by its size: a device has none, and no end either.
        with path.open("rb") as file:
            held = file.read(most + 1)
    except (OSError, ValueError) as error:  # the latter for a NUL in the name
        reason = getattr(error, "strerror", None) or "a file's name has no NUL in it"
        raise InvalidRequestError(f"cannot read {what}: {reason}") from None
    if len(held) > most:
        raise InvalidRequestError(f"{path} is larger than {most:,} bytes")
    try:
        text = held.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidRequestError(f"cannot read {what}: it is not UTF-8") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")
