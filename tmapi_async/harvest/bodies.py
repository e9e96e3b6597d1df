"""Bodies as zstd frames, with a dictionary of their endpoint once enough of them have been seen.

Measured on pages of 20 items, 13 KB of JSON (`benchmarks/journal.py`): level 3 alone makes them 3.7
times smaller, with a dictionary trained on the first pages 5 to 7 times, for a few microseconds
more. Level 1 is no cheaper with a dictionary, and 10 % larger. Training takes 0.05 s, once for each
endpoint of a journal, and the dictionary takes 25 KB of the file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import zstandard

from .errors import BodyError

if TYPE_CHECKING:
    import sqlite3
    from pathlib import Path

LEVEL = 3
SAMPLES = 40
DICTIONARY_SIZE = 112_640  # zstd's own default
_SAMPLE_BYTES = 16_384
_LEAST_BYTES = 4 * DICTIONARY_SIZE
_MOST_BYTES = SAMPLES * _SAMPLE_BYTES
_LONGEST_LEARNING = 50 * SAMPLES


class Encoded(NamedTuple):
    """A body as stored: the dictionary's number, or None, and the frame."""

    dictionary: int | None
    frame: Any  # bytes, or a buffer that SQLite takes for bytes


class _Endpoint:
    """What is known of one endpoint's bodies."""

    def __init__(self, dictionary: int | None, content: bytes | None) -> None:
        self.dictionary = dictionary
        data = None
        if content is not None:
            data = zstandard.ZstdCompressionDict(content)
            data.precompute_compress(LEVEL)  # once: a second time would crash (zstandard 0.25)
        # The checksum costs 4 bytes and finds damage that SQLite cannot see.
        self._compressor = zstandard.ZstdCompressor(LEVEL, dict_data=data, write_checksum=True)
        self.samples: list[bytes] | None = [] if data is None else None
        self._sampled = 0
        self._seen = 0

    def encode(self, bodies: list[bytes]) -> list[Encoded]:
        if self.samples is not None:
            for body in bodies:
                self._learn(body)
        return [Encoded(self.dictionary, frame) for frame in self._frames(bodies)]

    def _frames(self, bodies: list[bytes]) -> list[Any]:
        try:
            # One call for all: each call gives up the interpreter's lock, and getting it back from
            # a busy event loop costs more than compressing does.
            frames: Any = self._compressor.multi_compress_to_buffer([*bodies], threads=1)
            return list(frames)
        except (AttributeError, NotImplementedError, ValueError):
            # Builds of the package without it, and bodies that are all empty.
            return [self._compressor.compress(body) for body in bodies]

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
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._endpoints: dict[str, _Endpoint] = {}
        self._last = 0
        rows = connection.execute("SELECT id, endpoint, content FROM dictionary ORDER BY id")
        for number, endpoint, content in rows:
            self._endpoints[endpoint] = _Endpoint(number, zstandard.decompress(content))
            self._last = number

    def encode(self, endpoint: str, bodies: list[bytes]) -> list[Encoded]:
        """Compress bodies.

        Args:
            endpoint: Name of the endpoint they came from.
            bodies: The bodies.

        Returns:
            For each the frame and the dictionary it needs.
        """
        known = self._endpoints.get(endpoint)
        if known is None:
            known = self._endpoints[endpoint] = _Endpoint(None, None)
        return known.encode(bodies)

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
            trained = zstandard.train_dictionary(DICTIONARY_SIZE, [*samples], level=LEVEL)
        except zstandard.ZstdError:
            return None  # samples too alike or too few: go on without
        content = trained.as_bytes()
        self._last += 1
        self._endpoints[endpoint] = _Endpoint(self._last, content)
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
