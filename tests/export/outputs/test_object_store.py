"""Exports to an object store: all of an object or nothing, and no secret in any message."""

from __future__ import annotations

import io
import os
import secrets
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import obstore
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from obstore import store as store_module

from tests.support.journals import of_catalogue, of_rows, row
from tests.support.paths import ROOT
from tests.support.s3_server import KEY, SECRET, S3Server, s3_server
from tmapi_async.export import ExportError, export_journal
from tmapi_async.export.changes.change_files import ChangeRows, ChangeTable
from tmapi_async.export.changes.diff import CHANGE
from tmapi_async.export.destinations import parse_destination
from tmapi_async.export.outputs import object_store
from tmapi_async.export.outputs.object_store import ObjectOutput, check_object, parse_address

NAMES = ("a.parquet", "a.csv", "a.jsonl", "a.jsonl.zst")


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Server]:
    """Run a store that the environment names."""
    with s3_server() as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        yield server


def test_objects_are_the_files_that_a_folder_would_get(tmp_path: Path, store: S3Server) -> None:
    """Each format is the same, byte by byte, in a folder and in a store; so is the history."""
    journal, _ = of_catalogue(tmp_path / "a.journal", {7: 45})
    export_journal(journal, [str(tmp_path / name) for name in NAMES], history=True)
    summary = export_journal(journal, [f"s3://shop/x y/{name}" for name in NAMES], history=True)
    assert [result.rows for result in summary.destinations] == [45] * 8
    assert len(store.objects) == 8
    for name, contents in store.objects.items():
        assert name.startswith("x y/")
        assert (tmp_path / name.removeprefix("x y/")).read_bytes() == contents, name
    assert summary.destinations[0].to == "s3://shop/x y/a.parquet"
    assert summary.destinations[0].bytes == (tmp_path / "a.parquet").stat().st_size


def test_changes_are_written_to_a_store(store: S3Server) -> None:
    """A destination of `tmapi changes` may be an object, too."""
    sink = parse_destination("s3://shop/c.parquet").open_table(ChangeTable())
    sink.write(ChangeRows(pa.RecordBatch.from_pylist([], schema=CHANGE)))
    sink.commit()
    assert pq.read_schema(io.BytesIO(store.objects["c.parquet"])).equals(CHANGE)


def test_an_object_is_seen_when_its_last_part_is_complete(
    store: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parts are no object. What is broken off leaves neither parts nor an object."""
    monkeypatch.setattr(object_store, "_PART_BYTES", 5 << 20)
    store.objects["a.csv"] = b"old"
    for completes in (False, True):
        output = ObjectOutput(parse_address("s3://shop/a.csv"))
        for _ in range(3):
            output.file.write(bytes(5 << 20))
        assert store.objects["a.csv"] == b"old"
        assert len(store.uploads) == 1
        if completes:
            assert output.commit() == 15 << 20
            output.discard()  # does nothing any more
        else:
            output.discard()
            assert store.objects["a.csv"] == b"old"
        assert not store.uploads
    assert store.objects["a.csv"] == bytes(15 << 20)


def test_a_failed_part_is_told_and_leaves_the_object_as_it_was(
    tmp_path: Path, store: S3Server
) -> None:
    """A store that refuses a part fails the export; the object before stays."""
    store.objects["a.jsonl"] = b"old"
    store.failing = "PUT "
    journal = of_rows(tmp_path / "a.journal", row(1))
    with pytest.raises(ExportError, match=r"refuses access \(AccessDenied\).* nothing there was"):
        export_journal(journal, ["s3://shop/a.jsonl"])
    assert store.objects == {"a.jsonl": b"old"}


def test_a_check_sends_nothing_that_is_seen_and_tells_the_reason(
    store: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A check begins an upload and breaks it off. Messages name the place, but no secret."""
    check_object(parse_address("s3://shop/a.csv"))
    assert not store.objects
    assert not store.uploads
    assert {request.split()[0] for request in store.requests} <= {"POST", "PUT", "DELETE"}
    messages = []
    for address, variables in (
        ("s3://absent/a.csv", {}),
        ("s3://shop/a.csv", {"AWS_ACCESS_KEY_ID": "AKIDOTHER"}),
        ("s3://shop/a.csv", {"AWS_ENDPOINT_URL": "http://127.0.0.1:1"}),
        ("s3://shop/a.csv", {"AWS_ENDPOINT_URL": f"no address {SECRET}"}),
        ("s3://shop/a.csv", {"AWS_ENDPOINT_URL_S3": f"http://[{SECRET}"}),
    ):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(ExportError) as raised:
            check_object(parse_address(address))
        messages.append(str(raised.value))
        assert KEY not in messages[-1]
        assert SECRET not in messages[-1]
    assert "s3://absent/a.csv: there is no such bucket" in messages[0]
    assert "refuses access (InvalidAccessKeyId): check the credentials" in messages[1]
    assert "s3://shop/a.csv: HTTP error" in messages[2]
    assert "AWS_ENDPOINT_URL in the environment must be like https://HOST:PORT" in messages[3]
    assert "AWS_ENDPOINT_URL_S3 in the environment must be" in messages[4]


@contextmanager
def other_server() -> Iterator[str]:
    """Run the S3 server of moto. Yields its address."""
    program = ROOT / ".venvs/moto/bin/moto_server"
    if not program.exists():
        if os.environ.get("TMAPI_TEST_MOTO") == "absent":
            pytest.skip("no S3 server of moto here")
        pytest.fail("this test needs moto: `sh scripts/have moto --install`")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [str(program), "-H", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603 - a program of our own environment
    try:
        for _ in range(600):
            try:
                socket.create_connection(("127.0.0.1", port)).close()
                break
            except OSError:
                time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


@pytest.mark.slow
def test_a_server_of_others_gets_the_same_objects(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The S3 server of moto, which is not of our making, takes small objects and many parts."""
    journal, _ = of_catalogue(tmp_path / "a.journal", {7: 45})
    export_journal(journal, [str(tmp_path / "a.parquet")])
    monkeypatch.setattr(object_store, "_PART_BYTES", 5 << 20)
    large = secrets.token_bytes(11 << 20)
    with other_server() as address:
        environment = {**S3_ENVIRONMENT, "AWS_ENDPOINT_URL": address}
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(ExportError, match="there is no such bucket"):
            check_object(parse_address("s3://shop/a.parquet"))
        urllib.request.urlopen(urllib.request.Request(f"{address}/shop", method="PUT")).close()  # noqa: S310 - 127.0.0.1
        check_object(parse_address("s3://shop/a.parquet"))
        export_journal(journal, ["s3://shop/a.parquet"])
        output = ObjectOutput(parse_address("s3://shop/large.csv"))
        output.file.write(large)
        output.commit()
        bucket = store_module.from_url("s3://shop", client_options={"allow_http": True})
        for name, contents in (
            ("a.parquet", (tmp_path / "a.parquet").read_bytes()),
            ("large.csv", large),
        ):
            assert bytes(obstore.get(bucket, name).bytes()) == contents


S3_ENVIRONMENT = {"AWS_ACCESS_KEY_ID": KEY, "AWS_SECRET_ACCESS_KEY": SECRET, "AWS_REGION": "eu-1"}
