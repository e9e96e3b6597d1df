"""Bodies as zstd frames, with a dictionary of their endpoint once enough of them have been seen.

Measured on pages of 20 items, 13 KB of JSON (`benchmarks/journal.py`): level 3 alone makes them 3.7
times smaller, with a dictionary trained on the first pages 5 to 7 times, for a few microseconds
more. Level 1 is no cheaper with a dictionary, and 10 % larger. Training takes 6 ms, once for each
endpoint of a journal (with these parameters, which zstd finds by itself in 35 ms), and the
dictionary takes 25 KB of the file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import zstandard

from tmapi_async.errors import BodyError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable
    from pathlib import Path

LEVEL = 3
SAMPLES = 40
DICTIONARY_SIZE = 112_640  # zstd's own default
_SAMPLE_BYTES = 16_384
_LEAST_BYTES = 4 * DICTIONARY_SIZE
_MOST_BYTES = SAMPLES * _SAMPLE_BYTES
_LONGEST_LEARNING = 50 * SAMPLES


class Dictionary(msgspec.Struct, frozen=True, gc=False):
    """What the bodies of an endpoint are compressed with.

    Attributes:
        number: Its number in the journal, or None for no dictionary.
        content: The dictionary, or None.
    """

    number: int | None = None
    content: bytes | None = None

    def compressor(self) -> Callable[[bytes], bytes]:
        """What makes a frame of a body, as the journal keeps it."""
        data = None
        if self.content is not None:
            data = zstandard.ZstdCompressionDict(self.content)
            # Else it is taken in again for every frame. The frames are the same, byte for byte.
            data.precompute_compress(level=LEVEL)
        # The checksum costs 4 bytes and finds damage that SQLite cannot see.
        return zstandard.ZstdCompressor(LEVEL, dict_data=data, write_checksum=True).compress


class _Endpoint:
    """What is known of one endpoint's bodies."""

    def __init__(self, dictionary: Dictionary | None) -> None:
        self.dictionary = dictionary or Dictionary()
        self._compress = self.dictionary.compressor()
        self.samples: list[bytes] | None = [] if dictionary is None else None
        self._sampled = 0
        self._seen = 0

    def encode(self, body: bytes) -> tuple[int | None, bytes]:
        if self.samples is not None:
            self._learn(body)
        return self.dictionary.number, self._compress(body)

    def _learn(self, body: bytes) -> None:
        samples = self.samples
        self._seen += 1
        if samples is None or self._seen > _LONGEST_LEARNING:
            self.samples = None  # the bodies are too small to learn from
        elif self._sampled < _MOST_BYTES:
            samples.append(body[:_SAMPLE_BYTES])
            self._sampled += len(samples[-1])

    @property
    def ripe(self) -> bool:
        """Whether enough has been seen to train a dictionary."""
        enough = self._seen >= SAMPLES and self._sampled >= _LEAST_BYTES
        return enough and self.samples is not None


class Encoder:
    """Compresses bodies; used by the writer's thread alone.

    Args:
        connection: The journal; dictionaries found there are used again.

    Attributes:
        settled: How bodies are compressed from now on, by endpoint; those learned are not in it.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.settled: dict[str, Dictionary] = {}
        self._endpoints: dict[str, _Endpoint] = {}
        self._last = 0
        rows = connection.execute("SELECT id, endpoint, content FROM dictionary ORDER BY id")
        for number, endpoint, content in rows:
            self._settle(endpoint, Dictionary(number, zstandard.decompress(content)))
            self._last = number

    def encode(self, endpoint: str, body: bytes) -> tuple[int | None, bytes]:
        """Compress a body.

        Args:
            endpoint: Name of the endpoint it came from.
            body: The body.

        Returns:
            The number of the dictionary that its frame needs, or None, and the frame.
        """
        known = self._endpoints.get(endpoint)
        if known is None:
            known = self._endpoints[endpoint] = _Endpoint(None)
        frame = known.encode(body)
        if known.samples is None and endpoint not in self.settled:
            self.settled[endpoint] = known.dictionary  # given up: there is none
        return frame

    def _settle(self, endpoint: str, dictionary: Dictionary) -> None:
        self._endpoints[endpoint] = _Endpoint(dictionary)
        self.settled[endpoint] = dictionary

    def trained(self) -> list[tuple[int, str, bytes]]:
        """Train the dictionaries that can be.

        Returns:
            Rows for the `dictionary` table; they must be committed before or with the first body
            that is compressed after this.
        """
        rows = []
        for endpoint, known in self._endpoints.items():
            if known.ripe and known.samples is not None:
                row = self._train(endpoint, known.samples)
                known.samples = None
                if row is not None:
                    rows.append(row)
        return rows

    def _train(self, endpoint: str, samples: list[bytes]) -> tuple[int, str, bytes] | None:
        try:
            trained = zstandard.train_dictionary(
                DICTIONARY_SIZE, [*samples], k=1024, d=8, f=18, level=LEVEL
            )
        except zstandard.ZstdError:
            return None  # samples too alike or too few: go on without
        content = trained.as_bytes()
        self._last += 1
        self._settle(endpoint, Dictionary(self._last, content))
        return self._last, endpoint, zstandard.ZstdCompressor(level=9).compress(content)


class Decoder:
    """Decompresses bodies with the dictionary they were written with.

    Args:
        connection: The journal, for its dictionaries.
        path: Its file, named in errors.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path
        self._known: dict[int | None, zstandard.ZstdDecompressor] = {
            None: zstandard.ZstdDecompressor()
        }

    def decode(self, dictionary: int | None, frame: bytes) -> bytes:
        """Decompress a body.

        Args:
            dictionary: Number of the dictionary it was written with, or None.
            frame: The frame.

        Returns:
            The body, byte for byte.

        Raises:
            BodyError: The frame is damaged, or its dictionary is missing.
        """
        try:
            known = self._known.get(dictionary) or self._load(dictionary)
            return known.decompress(frame)
        except zstandard.ZstdError as error:
            raise BodyError(self._path, str(error)) from None

    def _load(self, dictionary: int | None) -> zstandard.ZstdDecompressor:
        query = "SELECT content FROM dictionary WHERE id = ?"
        row = self._connection.execute(query, (dictionary,)).fetchone()
        if row is None:
            raise BodyError(self._path, f"its dictionary {dictionary} is missing")
        data = zstandard.ZstdCompressionDict(zstandard.decompress(row[0]))
        known = self._known[dictionary] = zstandard.ZstdDecompressor(dict_data=data)
        return known


def decompress_category(path: Path, cat_id: int, frame: bytes) -> bytes:
    """Decompress the body of a category answer, which uses no dictionary.

    Raises:
        BodyError: The body is damaged.
    """
    try:
        return zstandard.ZstdDecompressor().decompress(frame)
    except zstandard.ZstdError:
        raise BodyError(path, f"category {cat_id}") from None
