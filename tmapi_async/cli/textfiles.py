"""Small text files that a command reads: job files, keywords, tokens."""

from __future__ import annotations

from pathlib import Path

from tmapi_async.errors import InvalidRequestError

MAX_BYTES = 64 * 2**20


def read_text(path: Path, description: str, *, limit: int = MAX_BYTES) -> str:
    """Read a file as UTF-8, with or without a byte order mark and with any line ends.

    Args:
        path: The file; a pipe works too.
        description: Name of the file in messages.
        limit: Largest size, in bytes.

    Raises:
        InvalidRequestError: The file cannot be read, is larger, or is not UTF-8.
    """
    try:
        # Read up to the limit, since a device has no size to check and no end.
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except (OSError, ValueError) as error:  # ValueError for a NUL in the name
        reason = getattr(error, "strerror", None) or "the file name contains a NUL character"
        raise InvalidRequestError(f"cannot read {description}: {reason}") from None
    if len(data) > limit:
        raise InvalidRequestError(f"{path} is larger than {limit:,} bytes")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidRequestError(f"cannot read {description}: it is not UTF-8") from None
    return text.replace("\r\n", "\n").replace("\r", "\n")
