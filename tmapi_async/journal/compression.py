"""Compression of bodies: zstd frames, with a dictionary per endpoint after some pages.

Measured on pages of 20 items, 13 KB of JSON (`benchmarks/journal.py`): level 3 alone makes a body
3.7 times smaller; a dictionary trained on the first pages makes it 5 to 7 times smaller, for a few
microseconds more. Level 1 is no cheaper with a dictionary, and its frames are 10 % larger. Training
takes 6 ms, once for each endpoint of a journal, with the parameters below; zstd needs 35 ms to find
them itself. The dictionary takes 25 KB of the file.
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
_MIN_BYTES = 4 * DICTIONARY_SIZE
_MAX_BYTES = SAMPLES * _SAMPLE_BYTES
_MAX_BODIES_TO_LEARN = 50 * SAMPLES
LARGEST_BODY = 1 << 25
"""Bytes of the largest reply that a client reads by default (`max_body`)."""

_MAX_BODY = 1 << 28
_MAX_RATIO = 64


_PLAIN = zstandard.ZstdDecompressor()


def decompress(decompressor: zstandard.ZstdDecompressor, frame: bytes) -> bytes:
    """Decompress a frame that may come from a foreign or damaged journal.

    zstd reserves the memory that the head of a frame states, and some bytes can state gigabytes. So
    a frame is refused if it states more than a reply has by default. Only a client with a larger
    `max_body` stores larger replies. Rows are never so alike that their frame is 64 times smaller.

    Raises:
        zstandard.ZstdError: The frame is damaged, or states more bytes than a body can have.
    """
    if not isinstance(frame, bytes):
        raise zstandard.ZstdError("it is not stored as bytes")
    size = zstandard.frame_content_size(frame)
    if size > LARGEST_BODY and size > min(_MAX_BODY, _MAX_RATIO * len(frame)):
        raise zstandard.ZstdError(f"it states a size of {size} bytes")
    return decompressor.decompress(frame)


class Dictionary(msgspec.Struct, frozen=True, gc=False):
    """Dictionary for the bodies of an endpoint.

    Attributes:
        number: Number of the dictionary in the journal, or None for no dictionary.
        content: The dictionary, or None.
    """

    number: int | None = None
    content: bytes | None = None

    def compressor(self) -> Callable[[bytes], bytes]:
        """Return a function that compresses a body to a frame as the journal stores it."""
        data = None
        if self.content is not None:
            data = zstandard.ZstdCompressionDict(self.content)
            # Without this, zstd prepares the dictionary for every frame.
            data.precompute_compress(compression_params=_small_tables(len(self.content)))
        # The checksum costs 4 bytes and finds damage that SQLite cannot see.
        return zstandard.ZstdCompressor(LEVEL, dict_data=data, write_checksum=True).compress


def _small_tables(size: int) -> zstandard.ZstdCompressionParameters:
    """Return the parameters of `LEVEL`, with half of its tables for a dictionary of some bytes.

    The level's own leave little room for the rest of a harvest in the fast memory of a core. Frames
    are 0.6 % larger with half of them.
    """
    return zstandard.ZstdCompressionParameters.from_level(
        LEVEL, dict_size=size, hash_log=15, chain_log=14
    )


class _Endpoint:
    """State of one endpoint: its dictionary, or the samples to train one."""

    __slots__ = ("_sampled", "_seen", "compress", "dictionary", "number", "samples")

    def __init__(self, dictionary: Dictionary | None) -> None:
        self.dictionary = dictionary or Dictionary()
        self.number, self.compress = self.dictionary.number, self.dictionary.compressor()
        self.samples: list[bytes] | None = [] if dictionary is None else None
        self._sampled = 0
        self._seen = 0

    def learn(self, body: bytes) -> None:
        """Keep a body as a sample, or give the samples up if the bodies are too small."""
        samples = self.samples
        self._seen += 1
        if samples is None or self._seen > _MAX_BODIES_TO_LEARN:
            self.samples = None  # the bodies are too small for a dictionary
        elif self._sampled < _MAX_BYTES:
            samples.append(body[:_SAMPLE_BYTES])
            self._sampled += len(samples[-1])

    @property
    def ripe(self) -> bool:
        """True if there are enough samples to train a dictionary."""
        enough = self._seen >= SAMPLES and self._sampled >= _MIN_BYTES
        return enough and self.samples is not None


class Encoder:
    """Compresses bodies. Only the writer's thread uses an encoder.

    Args:
        connection: Connection to the journal. Its dictionaries are used again.

    Attributes:
        settled: Dictionary of each endpoint from now on. Endpoints that still learn are missing.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.settled: dict[str, Dictionary] = {}
        self._endpoints: dict[str, _Endpoint] = {}
        self._last = 0
        rows = connection.execute("SELECT id, endpoint, content FROM dictionary ORDER BY id")
        for number, endpoint, content in rows:
            self._settle(endpoint, Dictionary(number, decompress(_PLAIN, content)))
            self._last = number

    def encode(self, endpoint: str, body: bytes) -> tuple[int | None, bytes]:
        """Compress a body.

        Args:
            endpoint: Name of the endpoint.
            body: The body.

        Returns:
            The number of the dictionary that the frame needs, or None; and the frame.
        """
        state = self._endpoints.get(endpoint)
        if state is None:
            state = self._endpoints[endpoint] = _Endpoint(None)
        if state.samples is not None:
            state.learn(body)
            if state.samples is None:
                self.settled[endpoint] = state.dictionary  # without a dictionary
        return state.number, state.compress(body)

    def _settle(self, endpoint: str, dictionary: Dictionary) -> None:
        self._endpoints[endpoint] = _Endpoint(dictionary)
        self.settled[endpoint] = dictionary

    def trained(self) -> list[tuple[int, str, bytes]]:
        """Train a dictionary for each endpoint with enough samples.

        Returns:
            Rows for the `dictionary` table. Commit them before the first body that is compressed
            after this call, or together with it.
        """
        rows = []
        for endpoint, state in self._endpoints.items():
            if state.ripe and state.samples is not None:
                row = self._train(endpoint, state.samples)
                state.samples = None
                if row is not None:
                    rows.append(row)
                else:
                    self.settled[endpoint] = state.dictionary  # without a dictionary
        return rows

    def _train(self, endpoint: str, samples: list[bytes]) -> tuple[int, str, bytes] | None:
        try:
            trained = zstandard.train_dictionary(
                DICTIONARY_SIZE, [*samples], k=1024, d=8, f=18, level=LEVEL
            )
        except zstandard.ZstdError:
            return None  # the samples are too similar or too few: use no dictionary
        content = trained.as_bytes()
        self._last += 1
        self._settle(endpoint, Dictionary(self._last, content))
        return self._last, endpoint, zstandard.ZstdCompressor(level=9).compress(content)


class Decoder:
    """Decompresses bodies with the dictionary they were written with.

    Args:
        connection: Connection to the journal, for its dictionaries.
        path: The journal's file, named in errors.
    """

    def __init__(self, connection: sqlite3.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path
        self._decompressors: dict[int | None, zstandard.ZstdDecompressor] = {
            None: zstandard.ZstdDecompressor()
        }

    def decode(self, dictionary: int | None, frame: bytes) -> bytes:
        """Decompress a body.

        Args:
            dictionary: Number of the dictionary that the frame needs, or None.
            frame: The frame.

        Returns:
            The body, byte for byte.

        Raises:
            BodyError: The frame is damaged, or its dictionary is missing.
        """
        try:
            decompressor = self._decompressors.get(dictionary) or self._load(dictionary)
            return decompress(decompressor, frame)
        except zstandard.ZstdError as error:
            raise BodyError(self._path, str(error)) from None

    def _load(self, dictionary: int | None) -> zstandard.ZstdDecompressor:
        query = "SELECT content FROM dictionary WHERE id = ?"
        row = self._connection.execute(query, (dictionary,)).fetchone()
        if row is None:
            raise BodyError(self._path, f"its dictionary {dictionary} is missing")
        data = zstandard.ZstdCompressionDict(decompress(_PLAIN, row[0]))
        decompressor = zstandard.ZstdDecompressor(dict_data=data)
        self._decompressors[dictionary] = decompressor
        return decompressor


def decompress_category(path: Path, cat_id: int, frame: bytes) -> bytes:
    """Decompress the body of a category answer, which uses no dictionary.

    Raises:
        BodyError: The body is damaged.
    """
    try:
        return decompress(_PLAIN, frame)
    except zstandard.ZstdError:
        raise BodyError(path, f"category {cat_id}") from None
