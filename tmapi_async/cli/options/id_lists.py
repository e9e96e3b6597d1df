"""Category or product IDs from the command line: arguments, `-` for standard input, `@FILE`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import BinaryIO, Literal, TypeAlias

import msgspec

from tmapi_async.api.listings import parse_id
from tmapi_async.cli.textfiles import MAX_BYTES, decode_text, marked_encoding, user_path
from tmapi_async.errors import InvalidRequestError
from tmapi_async.errors.shown_value import is_harmless

IdKind: TypeAlias = Literal["category", "product"]

_MAX_LINE = 10_000


class IdList(msgspec.Struct, frozen=True):
    """The IDs of a command.

    Attributes:
        ids: IDs, each once, in the order given.
        repeated: Number of IDs that were given again.
    """

    ids: list[int]
    repeated: int


def read_ids(sources: Iterable[str], stdin: BinaryIO, kind: IdKind = "category") -> IdList:
    """Read and check every ID before anything is sent.

    Args:
        sources: Arguments: an ID, `-` for standard input, or `@FILE`. Lists have one ID per line;
            `#` begins a comment; empty lines are skipped.
        stdin: Standard input.
        kind: Kind of the IDs, for messages.

    Raises:
        InvalidRequestError: An entry is not an ID (the message names file and line), a file cannot
            be read, or there are no IDs at all.
    """
    ids: dict[int, None] = {}
    count = 0
    for number in _IdReader(stdin, kind).read(sources):
        ids[number] = None
        count += 1
    if not ids:
        others = "; for other listings, use --keyword, --shop or --job"
        raise InvalidRequestError(
            f"no {kind} IDs: give them as arguments, as @FILE, or as - for standard input"
            f"{others if kind == 'category' else ''}"
        )
    return IdList(list(ids), count - len(ids))


class _IdReader:
    def __init__(self, stdin: BinaryIO, kind: IdKind) -> None:
        self._stdin = stdin
        self._kind = kind

    def read(self, sources: Iterable[str]) -> Iterator[int]:
        for source in sources:
            if source == "-":
                yield from self._read_lines("standard input", self._stdin)
            elif source.startswith("@"):
                yield from self._read_file(source[1:])
            elif source.startswith("-") and not source[1:].isdigit():
                # Show the name alone, if it looks like one: the rest may be a token.
                name = source.partition("=")[0]
                shown = name if is_harmless(name) else f"with {len(name):,} characters"
                raise InvalidRequestError(f"there is no option {shown}")
            else:
                yield parse_id(source, self._kind)

    def _read_file(self, name: str) -> Iterator[int]:
        try:
            with user_path(name).open("rb") as file:
                yield from self._read_lines(name, file)
        except InvalidRequestError:  # a ValueError too, and it names the line
            raise
        except (OSError, ValueError) as error:  # ValueError for a NUL in the name
            reason = getattr(error, "strerror", None) or "the file name contains a NUL character"
            raise InvalidRequestError(
                f"cannot read {self._kind} IDs from {name}: {reason}"
            ) from None

    def _read_lines(self, name: str, file: BinaryIO) -> Iterator[int]:
        number = 0
        for line in _lines(name, file):
            number += 1
            place = f"{name}, line {number}"
            if len(line) == _MAX_LINE and not line.endswith(b"\n"):
                _skip_long_comment(place, line, file)
            data = line.partition(b"#")[0]  # a comment may have any encoding
            # utf-8-sig: editors on Windows begin a file with a byte order mark.
            text = data.decode("utf-8-sig" if number == 1 else "utf-8", "replace").strip()
            if not text:
                continue
            if "\x00" in text:
                decode_text(data, place)  # raises an error that names the encoding
            try:
                yield parse_id(text, self._kind)
            except InvalidRequestError as error:
                raise InvalidRequestError(f"{place}: {error.message}") from None


def _lines(name: str, file: BinaryIO) -> Iterator[bytes]:
    """Yield the lines of a list in UTF-8; one in UTF-16, as Windows writes it, is converted."""
    line = file.readline(_MAX_LINE)
    if (marked_encoding(line) or "utf-8").startswith("utf-8"):
        yield line
        while line := file.readline(_MAX_LINE):
            yield line
        return
    data = line + file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise InvalidRequestError(f"{name} is larger than {MAX_BYTES:,} bytes: save it as UTF-8")
    for text in decode_text(data, name).splitlines():
        yield text.encode()


def _skip_long_comment(place: str, line: bytes, file: BinaryIO) -> None:
    """Read to the end of a line of which only the beginning was read."""
    if b"#" not in line:
        raise InvalidRequestError(f"{place}: the line is longer than {_MAX_LINE:,} characters")
    while (rest := file.readline(_MAX_LINE)) and not rest.endswith(b"\n"):
        pass
