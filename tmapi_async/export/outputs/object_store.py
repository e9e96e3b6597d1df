"""Objects of a store such as S3, written in parts and seen when the last part is complete.

obstore writes them: one wheel without requirements, for S3, Google Cloud Storage and Azure, whose
writer can be broken off (the writers of pyarrow complete the object in every case). Credentials and
the address of the service come from the environment, by the names that the tools of each store use.
"""

from __future__ import annotations

import io
import os
import re
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import IO, TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

import msgspec

from tmapi_async.errors import ExportError, ExportRefusedError

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEMES = ("s3://", "gs://", "az://", "abfs://", "abfss://")
"""Beginnings of addresses of objects."""

_PART_BYTES = 8 << 20
"""Bytes of a part. A store takes 10,000 parts, so an object has at most 80 GB."""

_PARTS_AT_ONCE = 3
_RETRIES: dict[str, Any] = {"max_retries": 5, "retry_timeout": timedelta(seconds=60)}
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
_CONNECT_SECONDS = 10
_REPLY_SECONDS = 60
_MOST_CHARACTERS = 200
_CODE = re.compile(r"<Code>([A-Za-z]{1,60})</Code>")
_NO_BUCKET = "<Code>NoSuchBucket</Code>"
_REFUSED = re.compile(r"status code: 40[13]\b")
_UNCHANGED = "nothing there was changed"


class ObjectAddress(msgspec.Struct, frozen=True):
    """Address of an object.

    Attributes:
        bucket: Address of the bucket or container, such as `s3://shop`.
        key: Name of the object in it.
    """

    bucket: str
    key: str

    def __str__(self) -> str:
        return f"{self.bucket}/{self.key}"


def parse_address(text: str) -> ObjectAddress:
    """Parse the address of an object.

    Raises:
        ExportRefusedError: The address has a login or an option, which may be a secret and is not
            repeated; or it has no bucket or no name.
    """
    scheme = next(scheme for scheme in SCHEMES if text.startswith(scheme))
    bucket, _, key = text.removeprefix(scheme).partition("/")
    if "@" in bucket and not scheme.startswith("abfs"):
        raise ExportRefusedError(
            f"an address that begins with {scheme} has a login: write {scheme}BUCKET/NAME, and "
            "give credentials in the environment (AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY)"
        )
    if "?" in text or "#" in text:
        raise ExportRefusedError(
            f"an address that begins with {scheme} has options: write {scheme}BUCKET/NAME, and "
            "give options in the environment (AWS_ENDPOINT_URL, AWS_REGION)"
        )
    if not bucket or not key or "" in key.split("/") or {".", ".."} & set(key.split("/")):
        raise ExportRefusedError(
            f"{text} is not the address of a file: write {scheme}BUCKET/FOLDER/NAME"
        )
    return ObjectAddress(f"{scheme}{bucket}", key)


class ObjectOutput:
    """An object under way.

    Args:
        address: Its address.

    Raises:
        ExportError: The store cannot be reached, or refuses the object.
    """

    def __init__(self, address: ObjectAddress) -> None:
        self.to = str(address)
        with _errors(self.to):
            self._writer: Any = _open_writer(address, _PART_BYTES)
        self._file = _ObjectFile(self._writer, self.to)

    @property
    def file(self) -> IO[bytes]:
        """The object as a file to write to."""
        return cast("IO[bytes]", self._file)

    def commit(self) -> int:
        """Complete the object."""
        with _errors(self.to):
            self._writer.close()
        return self._file.size

    def discard(self) -> None:
        """Break the upload off; a previous object stays as it was."""
        with suppress(Exception):  # a store that does not answer drops the parts by its own rules
            if not self._writer.closed():
                _break_off(self._writer)


class _ObjectFile(io.RawIOBase):
    """The object as a file to write to. Closing it does not complete the object."""

    def __init__(self, writer: Any, to: str) -> None:
        super().__init__()
        self._writer, self._to = writer, to
        self.size = 0

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, data: Any, /) -> int:
        """Write bytes; a part is sent when it is full."""
        with _errors(self._to):
            # A copy: the store keeps what it is given, and the writers use their buffers again.
            copy = bytes(data)
            self._writer.write(copy)
        self.size += len(copy)
        return len(copy)


def check_object(address: ObjectAddress) -> None:
    """Check that an object can be written: begin an upload, and break it off.

    Raises:
        ExportError: The store cannot be reached, or refuses the object.
    """
    with _errors(str(address)):
        writer = _open_writer(address, 1)
        writer.write(b"...")
        _break_off(writer)


def _break_off(writer: Any) -> None:
    error = ExportError("broken off")
    writer.__exit__(type(error), error, None)


def _open_writer(address: ObjectAddress, part_bytes: int) -> Any:
    import obstore  # noqa: PLC0415 - an extra
    from obstore import store  # noqa: PLC0415 - as above

    options: dict[str, Any] = {
        "timeout": f"{_REPLY_SECONDS}s",
        "connect_timeout": f"{_CONNECT_SECONDS}s",
    }
    more: dict[str, Any] = {}
    endpoint = _endpoint() if address.bucket.startswith("s3://") else ""
    if endpoint:
        more["endpoint"] = endpoint
        options["allow_http"] = endpoint.startswith("http://")
    from_url: Any = store.from_url  # each store has other options
    bucket = from_url(address.bucket, client_options=options, retry_config=_RETRIES, **more)
    return obstore.open_writer(
        bucket, address.key, buffer_size=part_bytes, max_concurrency=_PARTS_AT_ONCE
    )


def _endpoint() -> str:
    """Return the address of a service other than Amazon's, or an empty text.

    Raises:
        ExportError: The environment has something else in its place, which is not repeated.
    """
    for name in _ENDPOINTS:
        address = os.environ.get(name, "")
        if address:
            try:
                parts = urlsplit(address)
                usable = parts.scheme in ("http", "https") and bool(parts.hostname)
            except ValueError:
                usable = False
            if not usable:
                raise ExportError(f"{name} in the environment must be like https://HOST:PORT")
            return address
    return ""


@contextmanager
def _errors(to: str) -> Iterator[None]:
    """Turn errors of a store into those of an export, without the addresses of its requests."""
    from obstore.exceptions import BaseError  # noqa: PLC0415 - an extra

    try:
        yield
    except (BaseError, OSError) as error:
        raise ExportError(f"{to}: {_reason(error)}; {_UNCHANGED}") from None


def _code(error: BaseException) -> str:
    code = _CODE.search(str(error))
    return f" ({code[1]})" if code else ""


def _reason(error: BaseException) -> str:
    """Return the reason in a few words; the rest of an error may repeat what was sent."""
    text = str(error)
    code = _code(error)
    if _NO_BUCKET in text:
        return "there is no such bucket"
    if _REFUSED.search(text):
        return (
            f"the store refuses access{code}: check the credentials in the environment and the "
            "rights to the bucket"
        )
    first_line = text.split("\n", 1)[0].split("<?xml", 1)[0]
    return f"{first_line.rpartition(' - ')[2].strip(' ,-:')[:_MOST_CHARACTERS]}{code}"
