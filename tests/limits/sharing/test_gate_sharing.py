"""Clients of one account share one gate: in one loop, in several, and after a fork."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import stat
import threading
from contextlib import asynccontextmanager

import pytest

from tmapi_async.limits.gate import Gate
from tmapi_async.limits.learning import LearningController
from tmapi_async.limits.rate import RateLimiter
from tmapi_async.limits.sharing import gate_sharing, message_stream, share_reporter
from tmapi_async.limits.sharing.gate_sharing import GateSharing
from tmapi_async.limits.sharing.runtime_folder import SocketPlace, account_name, runtime_folder

ACCOUNT = account_name("token", "api.example")


@pytest.fixture(autouse=True)
def _silence_is_no_warning():
    gate_sharing._warned.clear()  # noqa: SLF001 - said once in a process, and each test is its own


class Client:
    """A gate that shares, with tasks that hold its slots."""

    def __init__(self, ceiling=None, *, start=8, rate=None, account=ACCOUNT):
        controller = LearningController(ceiling, start=None if ceiling else start)
        limiter = None if rate is None else RateLimiter(rate)
        self.gate = Gate(controller, rate_limiter=limiter)
        self.sharing = GateSharing(self.gate, account, ceiling)
        self.tasks = []

    async def work(self):
        """Hold a slot for a moment, again and again."""
        while True:
            sent_at = await self.gate.enter(lambda: None)
            try:
                await asyncio.sleep(0.005)
            finally:
                self.gate.answered(sent_at)

    def start(self, tasks=20):
        """Begin to work."""
        self.tasks += [asyncio.create_task(self.work()) for _ in range(tasks)]

    async def stop(self):
        """End all work."""
        for task in self.tasks:
            task.cancel()
        if self.tasks:
            await asyncio.wait(self.tasks)
        self.tasks.clear()


@asynccontextmanager
async def opened(*clients):
    """Open clients, in this order; close them, the last one first."""
    try:
        for client in clients:
            await client.sharing.open()
        yield
    finally:
        for client in reversed(clients):
            await client.stop()
            await client.sharing.close()
            client.gate.close()


async def until(condition):
    """Wait until a condition holds."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - it depends on messages, not on an event of ours
            await asyncio.sleep(0.01)


async def test_the_first_client_hosts_and_sends_nothing_while_it_is_alone():
    """Its gate is the plain one; no timer and no task is added for each request."""
    client = Client(8)
    controller = client.gate.controller
    async with opened(client):
        assert client.sharing.role == "host"
        assert client.gate.controller is controller
        assert SocketPlace(ACCOUNT).identity() is not None
    assert SocketPlace(ACCOUNT).identity() is None


async def test_two_clients_have_equal_shares_and_the_survivor_has_all():
    """Both want more than there is; then the member leaves."""
    first, second = Client(), Client()
    async with opened(first):
        first.start()
        async with opened(second):
            assert second.sharing.role == "member"
            second.start()
            await until(lambda: first.gate.controller.statistics().width <= 50)
            await until(
                lambda: abs(first.gate.statistics().width - second.gate.statistics().width) <= 1
            )
            assert second.gate.in_use > 0
        await until(lambda: isinstance(first.gate.controller, LearningController))
        assert first.gate.in_use > 0


async def test_slots_that_one_client_does_not_use_go_to_the_other():
    """An idle client keeps none after a while, and gets one as soon as it asks."""
    busy, idle = Client(4), Client(4)
    async with opened(busy, idle):
        busy.start()
        await until(lambda: busy.gate.statistics().width == 4)
        sent_at = await asyncio.wait_for(idle.gate.enter(lambda: None), 2)
        idle.gate.answered(sent_at)


async def test_a_member_takes_over_when_the_host_leaves():
    """It goes on at the width that was learned, and hosts those that come."""
    host, member = Client(), Client()
    async with opened(host, member):
        member.start()
        await until(lambda: member.gate.statistics().controller.answered > 50)
        await host.sharing.close()
        await until(lambda: member.sharing.role == "host")
        await until(lambda: isinstance(member.gate.controller, LearningController))
        assert member.gate.controller.statistics().width >= 4
        async with opened(newcomer := Client()):
            assert newcomer.sharing.role == "member"


async def test_clients_of_other_accounts_and_hosts_are_apart():
    """The name depends on the token and on the host, and shows neither."""
    names = {
        account_name(token, host) for token in ("a", "b") for host in ("one.example", "two.example")
    }
    assert len(names) == 4
    assert account_name("a", "ONE.example") in names
    first, second = Client(), Client(account=account_name("other", "api.example"))
    async with opened(first, second):
        assert (first.sharing.role, second.sharing.role) == ("host", "host")


def test_clients_in_several_threads_share_one_gate():
    """Each has an event loop of its own, and the sum of their slots is one gate's."""
    most, running, lock = 0, 0, threading.Lock()
    barrier = threading.Barrier(3)

    async def work(client):
        nonlocal most, running
        sent_at = await client.gate.enter(lambda: None)
        with lock:
            running += 1
            most = max(most, running)
        await asyncio.sleep(0.003)
        with lock:
            running -= 1
        client.gate.answered(sent_at)

    async def main():
        client = Client(start=6)
        # Nothing is learned above six: the server of this test takes no more.
        client.gate.controller.set_max_width(6)
        client.sharing = GateSharing(client.gate, ACCOUNT, 2)
        async with opened(client):
            await asyncio.to_thread(barrier.wait)
            await asyncio.gather(*(work(client) for _ in range(60)))
            await asyncio.to_thread(barrier.wait)

    threads = [threading.Thread(target=lambda: asyncio.run(main())) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert 2 <= most <= 6


async def test_clients_with_a_rate_keep_to_it_together():
    """Two clients of 50 requests a second each send 50 together."""
    first, second = Client(8, rate=50.0), Client(8, rate=50.0)
    async with opened(first, second):
        first.start(4)
        second.start(4)
        await until(lambda: min(first.gate.budget.spent, second.gate.budget.spent) > 2)
        before = first.gate.budget.spent + second.gate.budget.spent
        began = asyncio.get_running_loop().time()
        await asyncio.sleep(1.0)
        took = asyncio.get_running_loop().time() - began
        sent = first.gate.budget.spent + second.gate.budget.spent - before
        assert sent <= 50 * took + 10


async def test_a_killed_hosts_socket_is_replaced():
    """Nobody listens on it any more: the next client hosts, and no file is left over."""
    place = SocketPlace(ACCOUNT)
    dead = place.listen()
    dead.close()
    assert place.identity() is not None
    client = Client()
    async with opened(client):
        assert client.sharing.role == "host"
        async with opened(other := Client()):
            assert other.sharing.role == "member"
    assert [path.name for path in runtime_folder().iterdir() if path.suffix != ".lock"] == []


async def test_many_clients_that_start_at_once_have_one_host():
    """Also where a killed process has left its socket."""
    for stale in (False, True):
        if stale:
            SocketPlace(ACCOUNT).listen().close()
        clients = [Client() for _ in range(8)]
        await asyncio.gather(*(client.sharing.open() for client in clients))
        roles = [client.sharing.role for client in clients]
        assert (roles.count("host"), roles.count("member")) == (1, 7)
        await asyncio.gather(*(client.sharing.close() for client in clients))
        assert SocketPlace(ACCOUNT).identity() is None


async def test_a_silent_host_is_replaced_after_a_lease(monkeypatch):
    """Somebody listens and never answers, as a process that stands still."""
    for module in (share_reporter, gate_sharing):
        monkeypatch.setattr(module, "LEASE", 0.2)
    monkeypatch.setattr("tmapi_async.limits.sharing.gate_member.LEASE", 0.2)
    silent = SocketPlace(ACCOUNT).listen()
    client = Client()
    async with opened(client):
        assert client.sharing.role == "host"
    silent.close()


async def test_a_host_that_was_replaced_sends_nothing_and_joins_the_new_one():
    """It stood still for a lease: the first attempt after the silence finds out."""
    first = Client()
    async with opened(first):
        place = SocketPlace(ACCOUNT)
        sock = place.replace(place.identity())
        sock.close()
        assert first.gate.controller.width(first.gate.clock()) == 0
        assert first.sharing.role == "alone"  # until it has found out who is the host
        await until(lambda: first.sharing.role == "host")
        await until(lambda: first.gate.width > 0)


async def test_a_socket_that_vanished_is_made_again():
    """A cleaner of old files may remove it; members keep their shares meanwhile."""
    host, member = Client(), Client()
    async with opened(host, member):
        SocketPlace(ACCOUNT).path.unlink()
        host.start()
        member.start()
        await until(lambda: SocketPlace(ACCOUNT).identity() is not None)
        await until(lambda: {host.sharing.role, member.sharing.role} == {"host", "member"})


async def test_a_busy_host_alone_notices_that_its_socket_vanished(monkeypatch):
    """Without a pause in its work; else the next process would host a gate of its own."""
    monkeypatch.setattr(gate_sharing, "SAVE_SECONDS", 0.05)
    client = Client()
    async with opened(client):
        client.start(4)
        SocketPlace(ACCOUNT).path.unlink()
        await until(lambda: SocketPlace(ACCOUNT).identity() is not None)
        await until(lambda: client.sharing.role == "host")


async def test_a_folder_that_vanished_leaves_a_client_alone():
    """Or one that can be entered no more: its requests go on."""
    client = Client()
    async with opened(client):
        folder = runtime_folder()
        SocketPlace(ACCOUNT).path.unlink()
        folder.rmdir()
        folder.write_text("a file")
        client.start(2)
        await until(lambda: client.sharing.role == "alone")
        spent = client.gate.budget.spent
        await until(lambda: client.gate.budget.spent > spent + 5)


async def test_a_process_of_another_user_cannot_join(monkeypatch):
    """Both ends ask the system who the other one is."""
    host, stranger = Client(), Client()
    async with opened(host):
        monkeypatch.setattr(message_stream, "_is_own", lambda _: False)
        monkeypatch.setattr(gate_sharing, "_TRIES", 3)
        async with opened(stranger):
            assert stranger.sharing.role == "alone"
        assert host.sharing.role == "host"


async def test_the_folder_is_private_and_nothing_in_it_has_the_token():
    """Its mode is 0700, that of the socket 0600."""
    client = Client(account=account_name("s3cret", "api.example"))
    async with opened(client):
        folder = runtime_folder()
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        for path in folder.iterdir():
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            assert "s3cret" not in path.name


async def test_where_no_socket_can_be_made_it_says_so_once_and_goes_on_alone(caplog):
    """Two clients, one warning; both work."""
    folder = runtime_folder()
    folder.rmdir()
    folder.write_text("a file")
    caplog.set_level(logging.WARNING, "tmapi_async")
    first, second = Client(), Client()
    async with opened(first, second):
        assert (first.sharing.role, second.sharing.role) == ("alone", "alone")
        first.start(2)
        await until(lambda: first.gate.budget.spent > 5)
    assert len([record for record in caplog.records if "cannot share" in record.message]) == 1


async def test_a_path_that_is_too_long_for_a_socket_leaves_a_client_alone(monkeypatch, tmp_path):
    """The system allows about a hundred bytes."""
    long = tmp_path / ("x" * 120)
    long.mkdir()
    monkeypatch.setenv("TMAPI_RUNTIME_DIR", str(long))
    client = Client()
    async with opened(client):
        assert client.sharing.role == "alone"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
async def test_a_forked_child_gives_up_the_sockets_it_inherits():
    """The place is free when the parent has ended, whatever children live on."""
    client = Client()
    async with opened(client):
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.read(reading, 1)
            os._exit(0)
        place = SocketPlace(ACCOUNT)
    probe = socket.socket(socket.AF_UNIX)
    assert place.identity() is None
    with pytest.raises((ConnectionRefusedError, FileNotFoundError)):
        probe.connect(str(place.path))
    probe.close()
    os.write(writing, b"x")
    await asyncio.to_thread(os.waitpid, pid, 0)
    os.close(reading)
    os.close(writing)


async def test_a_client_can_be_opened_again():
    """Each time it finds its role anew."""
    client = Client()
    for _ in range(2):
        async with opened(client):
            assert client.sharing.role == "host"
            client.start(2)
            spent = client.gate.budget.spent
            await until(lambda spent=spent: client.gate.budget.spent > spent + 5)


async def test_nothing_is_left_behind(tidy):
    """No task, no report to the loop's exception handler, when clients close in any order."""
    for order in ((0, 1, 2), (2, 1, 0), (1, 0, 2)):
        clients = [Client() for _ in range(3)]
        for client in clients:
            await client.sharing.open()
            client.start(3)
        await asyncio.sleep(0.05)
        for number in order:
            await clients[number].stop()
            await clients[number].sharing.close()
            clients[number].gate.close()
    assert tidy == []
