"""Sockets that read in blocks."""

from __future__ import annotations

import asyncio
import socket

from tmapi_async.transport.sockets import MAX_READ, PageSocket, make_socket


def test_a_read_is_never_larger_than_64_kib():
    """A larger size (asyncio asks for one) is reduced, a smaller one kept, and no byte is lost."""
    ours, theirs = socket.socketpair()
    with theirs, PageSocket(fileno=ours.detach()) as reader:
        theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2**20)
        sent = bytes(range(256)) * 300
        theirs.sendall(sent)
        first = reader.recv(2**18)
        rest = reader.recv(10)
        assert len(first) == MAX_READ
        assert rest == sent[MAX_READ : MAX_READ + 10]
        assert first == sent[:MAX_READ]


def test_the_factory_makes_the_socket_that_the_address_asks_for():
    """Family, type and protocol come from `getaddrinfo`."""
    (address,) = socket.getaddrinfo("127.0.0.1", 80, type=socket.SOCK_STREAM)
    with make_socket(address) as made:
        assert isinstance(made, PageSocket)
        assert (made.family, made.type) == (socket.AF_INET, socket.SOCK_STREAM)


async def test_asyncio_reads_through_it():
    """The loop's transport calls our `recv`; without that, nothing is saved."""
    loop = asyncio.get_running_loop()
    sizes: list[int] = []

    class Watched(PageSocket):
        def recv(self, bufsize: int, flags: int = 0, /) -> bytes:
            sizes.append(bufsize)
            return super().recv(bufsize, flags)

    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    with theirs:
        reader, writer = await asyncio.open_connection(sock=Watched(fileno=ours.detach()))
        await loop.sock_sendall(theirs, b"page")
        assert await reader.readexactly(4) == b"page"
        writer.close()
        await writer.wait_closed()
    assert sizes
    assert min(sizes) >= MAX_READ
