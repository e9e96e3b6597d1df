from __future__ import annotations

import inspect

import aiohttp
import aioresponses.core
import pytest
from aiohttp import ClientResponse
from aioresponses import aioresponses as mocked_aiohttp

from tests.support.aioresponses_shim import shimmed

URL = "http://127.0.0.1:9/1688/category/items"


class Undemanding:
    """A response class as it was before aiohttp 3.14."""

    def __init__(self, method: str) -> None:
        self.method = method


class Optional:
    """A response class that no longer insists on the argument."""

    def __init__(self, method: str, *, stream_writer: object = None) -> None:
        self.method = method
        self.stream_writer = stream_writer


class Demanding:
    """A response class as it is since aiohttp 3.14."""

    def __init__(self, method: str, *, stream_writer: object) -> None:
        self.method = method
        self.stream_writer = stream_writer


async def test_a_mocked_reply_can_be_read() -> None:
    """Under the shim a mocked reply arrives with its status, headers and body."""
    with mocked_aiohttp() as mocked:
        mocked.get(URL, status=503, body=b'{"code": 503}', headers={"Retry-After": "7"})
        async with aiohttp.ClientSession() as session, session.get(URL) as response:
            assert response.status == 503
            assert response.headers["Retry-After"] == "7"
            assert await response.json() == {"code": 503}


@pytest.mark.parametrize("response_class", [Undemanding, Optional])
def test_the_shim_keeps_out_of_the_way(response_class: type) -> None:
    """A response class that does not insist on stream_writer is used as it is."""
    assert shimmed(response_class) is response_class


def test_the_shim_supplies_the_missing_argument() -> None:
    """A class that insists on stream_writer gets one that has written nothing."""
    response = shimmed(Demanding)("GET")  # type: ignore[arg-type,call-arg]
    assert response.stream_writer.output_size == 0  # type: ignore[attr-defined]


def test_the_shim_passes_on_what_it_is_given() -> None:
    """An argument that the caller did pass is not replaced."""
    assert shimmed(Demanding)("GET", stream_writer="mine").stream_writer == "mine"  # type: ignore[arg-type,call-arg,attr-defined]


def test_the_shim_goes_when_aiohttp_stops_asking() -> None:
    """The installed aiohttp decides: mended only while its signature asks for stream_writer."""
    wanted = inspect.signature(ClientResponse.__init__).parameters.get("stream_writer")
    asks = wanted is not None and wanted.default is inspect.Parameter.empty
    used = vars(aioresponses.core)["ClientResponse"]
    assert (used is not ClientResponse) == asks
