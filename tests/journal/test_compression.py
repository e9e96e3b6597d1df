"""Stored bodies are read byte for byte, with and without a dictionary."""

from __future__ import annotations

import random
import sqlite3
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.harvesting import body
from tmapi_async.client.settings import DEFAULT_MAX_BODY
from tmapi_async.errors import BodyError
from tmapi_async.journal import compression as bodies
from tmapi_async.journal import schema
from tmapi_async.journal.compression import LARGEST_BODY, SAMPLES, Decoder, Encoder
from tmapi_async.sandbox import Catalogue, Config, Listing
from tmapi_async.sandbox.responses.pages import PageBuilder

PATH = Path("test.journal")


def pages(count):
    """Bodies of full pages of the sandbox."""
    sizes = {7: 20 * count}
    builder = PageBuilder(Config(categories=sizes), Catalogue(1, sizes))
    wire = Listing("/1688/category/items", (("cat_id", "7"),))
    return [builder.body(wire, number) for number in range(1, count + 1)]


LONG = pages(2 * SAMPLES)


@pytest.fixture
def connection():
    """The tables of a journal, in memory."""
    database = sqlite3.connect(":memory:")
    database.executescript(schema.TABLES)
    yield database
    database.close()


def keep(connection, encoder):
    """Store the dictionaries that have been trained; returns how many."""
    rows = encoder.trained()
    connection.executemany("INSERT INTO dictionary VALUES (?, ?, ?)", rows)
    return len(rows)


def encode(encoder, texts, endpoint="category/items"):
    """Compress bodies; returns dictionary and frame of each."""
    return [encoder.encode(endpoint, text) for text in texts]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=5000), min_size=1, max_size=8))
def test_any_bytes_come_back(texts):
    """A body need not be JSON, nor of any length, to come back byte for byte."""
    connection = sqlite3.connect(":memory:")
    connection.executescript(schema.TABLES)
    encoder, decoder = Encoder(connection), Decoder(connection, PATH)
    for text in texts:
        assert decoder.decode(*encoder.encode("category/items", text)) == text
    connection.close()


def test_a_dictionary_makes_later_bodies_smaller(connection):
    """After the first pages of an endpoint its bodies get smaller. Earlier bodies stay readable."""
    encoder, decoder = Encoder(connection), Decoder(connection, PATH)
    before = encode(encoder, LONG[:SAMPLES])
    assert keep(connection, encoder) == 1
    after = encode(encoder, LONG[SAMPLES:])
    assert {dictionary for dictionary, _ in before} == {None}
    assert {dictionary for dictionary, _ in after} == {1}
    assert keep(connection, encoder) == 0
    mean = [sum(len(frame) for _, frame in group) / len(group) for group in (before, after)]
    assert mean[1] < 0.7 * mean[0]
    assert [decoder.decode(*encoded) for encoded in (*before, *after)] == LONG


def test_each_endpoint_has_a_dictionary_of_its_own(connection):
    """Pages of another shape get a dictionary of their own."""
    encoder = Encoder(connection)
    encode(encoder, LONG[:SAMPLES])
    encode(encoder, LONG[:SAMPLES], "search/items")
    assert keep(connection, encoder) == 2
    numbers = {
        encoder.encode(endpoint, LONG[0])[0]
        for endpoint in ("category/items", "search/items", "shop/items")
    }
    assert numbers == {1, 2, None}


def test_a_later_start_uses_the_stored_dictionary(connection):
    """A dictionary is trained once for a journal, not at each start."""
    encoder = Encoder(connection)
    encode(encoder, LONG[:SAMPLES])
    keep(connection, encoder)
    again = Encoder(connection)
    dictionary, frame = again.encode("category/items", LONG[-1])
    assert dictionary == 1
    assert Decoder(connection, PATH).decode(1, frame) == LONG[-1]


def test_small_bodies_are_stored_without_a_dictionary(connection):
    """Thousands of tiny bodies train no dictionary, and are not kept in memory."""
    encoder = Encoder(connection)
    for _ in range(60):
        encode(encoder, [b"{}"] * SAMPLES)
        assert keep(connection, encoder) == 0
    assert encoder.settled["category/items"].number is None


def test_bodies_are_stored_if_no_dictionary_can_be_trained(connection, monkeypatch):
    """If zstd refuses to train a dictionary, bodies are stored as before."""

    def refuse(*_args, **_more):
        raise bodies.zstandard.ZstdError("nothing to learn")

    monkeypatch.setattr(bodies.zstandard, "train_dictionary", refuse)
    encoder = Encoder(connection)
    encode(encoder, LONG[:SAMPLES])
    assert keep(connection, encoder) == 0
    assert encoder.encode("category/items", LONG[0])[0] is None


def test_a_damaged_body_is_detected(connection):
    """Every flipped byte is found, by the structure of the frame or by its checksum."""
    _, frame = Encoder(connection).encode("category/items", body(1))
    decoder = Decoder(connection, PATH)
    for place in range(4, len(frame)):
        damaged = frame[:place] + bytes([frame[place] ^ 0x10]) + frame[place + 1 :]
        try:
            decoded = decoder.decode(None, damaged)
        except BodyError:
            continue
        assert decoded == body(1), place


def test_a_missing_dictionary_is_reported(connection):
    """A body whose dictionary is missing raises an error, and is not empty."""
    with pytest.raises(BodyError, match="dictionary 5 is missing"):
        Decoder(connection, PATH).decode(5, b"")


def test_a_frame_that_states_gigabytes_costs_no_memory(connection):
    """The library would reserve the stated size before it reads the frame."""
    size = 1 << 40
    header = b"\x28\xb5\x2f\xfd\xe0" + size.to_bytes(8, "little")
    with pytest.raises(BodyError, match=f"states a size of {size} bytes"):
        Decoder(connection, PATH).decode(None, header + b"\x01\x00\x00")
    connection.execute("INSERT INTO dictionary VALUES (1, 'category/items', ?)", (header,))
    with pytest.raises(BodyError, match="states a size"):
        Decoder(connection, PATH).decode(1, header)


def test_a_frame_of_more_than_a_reply_is_refused(connection):
    """A small frame cannot fill the memory: no reply is that large, or compresses that well."""
    frame = zstandard.ZstdCompressor().compress(bytes(LARGEST_BODY + 1))
    assert len(frame) < 10_000
    with pytest.raises(BodyError, match="states a size of 33554433 bytes"):
        Decoder(connection, PATH).decode(None, frame)


def test_a_reply_of_any_size_that_a_client_reads_is_decompressed(connection):
    """By default clients read 32 MiB; one with a larger `max_body` stores larger replies."""
    assert LARGEST_BODY == DEFAULT_MAX_BODY
    likely = zstandard.ZstdCompressor().compress(bytes(LARGEST_BODY))
    assert len(Decoder(connection, PATH).decode(None, likely)) == LARGEST_BODY
    rows = random.Random(1).randbytes(LARGEST_BODY // 32) * 33  # noqa: S311 - no secret
    frame = zstandard.ZstdCompressor().compress(rows)
    assert Decoder(connection, PATH).decode(None, frame) == rows
