"""Small text files that a command reads: job files, keywords, tokens, lists of IDs."""

from __future__ import annotations

import codecs
from pathlib import Path

from tmapi_async.errors import InvalidRequestError

MAX_BYTES = 64 * 2**20

_MARKS = (  # that of UTF-16 in this byte order begins that of UTF-32
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (codecs.BOM_UTF8, "utf-8-sig"),
)


def user_path(name: str | Path) -> Path:
    """Return a path with `~` as the home folder: no shell replaces it in `@~/ids.txt`.

    Raises:
        InvalidRequestError: There is no such user.
    """
    try:
        return Path(name).expanduser()
    except RuntimeError:
        raise InvalidRequestError(f"{name}: there is no home folder of that user") from None


def marked_encoding(data: bytes) -> str | None:
    """Return the encoding that a byte order mark at the beginning of a text names, or None."""
    return next((encoding for mark, encoding in _MARKS if data.startswith(mark)), None)


def decode_text(data: bytes, description: str) -> str:
    """Decode a text in UTF-8, or in the encoding that its byte order mark names.

    Args:
        data: The whole text.
        description: Name of the text in messages.

    Raises:
        InvalidRequestError: The text has another encoding.
    """
    encoding = marked_encoding(data)
    if encoding is None and b"\x00" in data:
        raise InvalidRequestError(
            f"{description} has NUL characters, as UTF-16 without a byte order mark has: save it "
            "as UTF-8"
        )
    try:
        return data.decode(encoding or "utf-8")
    except UnicodeDecodeError:
        name = (encoding or "utf-8").removesuffix("-sig").upper()
        raise InvalidRequestError(
            f"cannot read {description}: it is not {name}; save it as UTF-8"
        ) from None


def read_text(path: Path, description: str, *, limit: int = MAX_BYTES) -> str:
    """Read a file in UTF-8 or UTF-16, with any line ends.

    Args:
        path: The file; a pipe works too.
        description: Name of the file in messages.
        limit: Largest size, in bytes.

    Raises:
        InvalidRequestError: The file cannot be read, is larger, or has another encoding.
    """
    try:
        # Read up to the limit, since a device has no size to check and no end.
        with user_path(path).open("rb") as file:
            data = file.read(limit + 1)
    except InvalidRequestError:  # a ValueError too
        raise
    except (OSError, ValueError) as error:  # ValueError for a NUL in the name
        reason = getattr(error, "strerror", None) or "the file name contains a NUL character"
        raise InvalidRequestError(f"cannot read {description}: {reason}") from None
    if len(data) > limit:
        raise InvalidRequestError(f"{path} is larger than {limit:,} bytes")
    return decode_text(data, description).replace("\r\n", "\n").replace("\r", "\n")
