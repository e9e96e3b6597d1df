from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest

from tmapi_async.sandbox import Catalogue, Config
from tmapi_async.sandbox.__main__ import main
from tmapi_async.sandbox.server import process as process_module
from tmapi_async.sandbox.server.process import SandboxProcess, SandboxThread, serve

COMMAND = [sys.executable, "-m", "tmapi_async.sandbox"]


def fetch(url, path, body=None):
    """The JSON at a path of a sandbox; a body makes it a POST."""
    with urllib.request.urlopen(url + path, body, timeout=10) as reply:  # noqa: S310 - http to 127.0.0.1
        return json.loads(reply.read())


def test_sandbox_thread_serves_code_that_is_not_asynchronous():
    """A sandbox in a thread answers blocking requests and is changed from outside."""
    with SandboxThread(categories={7: 5}) as thread:
        page = fetch(thread.url, "/1688/category/items?cat_id=7&apiToken=sandbox")
        assert [row["item_id"] for row in page["data"]["items"]] == Catalogue(1, {7: 5}).item_ids(7)
        thread.call(thread.sandbox.change, limit=3)
        assert thread.sandbox.limit == 3
        assert thread.sandbox.stats.billed == 1


def test_sandbox_thread_reports_a_taken_port():
    """A thread that cannot bind says so where it was started, and ends."""
    with SandboxThread() as thread:
        port = int(thread.url.rpartition(":")[2])
        with pytest.raises(OSError, match="address already in use"), SandboxThread(port=port):
            pytest.fail("two sandboxes on one port")


@pytest.mark.slow
def test_sandbox_process_serves_what_its_arguments_say():
    """A sandbox in a process has the seed's catalogue and can be changed over HTTP."""
    arguments = ["--seed", "5", "--categories", "4", "--limit", "2", "--fault", "500=0.1"]
    with SandboxProcess(*arguments, "--drift", "0.1", "--endless", "1031910=same") as process:
        sizes = fetch(process.url, "/__catalogue__")["categories"]
        made = Catalogue(5, 4)
        assert sizes == {str(cat_id): made.size(cat_id) for cat_id in made}
        assert fetch(process.url, "/__set__", b'{"limit":9}')["limit"] == 9
        assert process.pid > 0
    with pytest.raises(RuntimeError, match="not running"):
        _ = process.pid


@pytest.mark.slow
def test_sandbox_process_shows_listings_as_its_arguments_say():
    """Ceiling, prices, bounds, words, shops, tree, shift and adverts come from the command line."""
    arguments = ["--size", "7=60", "--ceiling", "30", "--v1-ceiling", "none", "--adverts", "1"]
    arguments += ["--prices", "7=5.00,0.5,9.90:12", "--price-bounds", "half-open"]
    arguments += ["--word", "T恤=7", "--shop", "https://a.1688.com/?id=1=7", "--tree", "1"]
    arguments += ["--root", "object", "--false-excludes", "--shift", "0.5", "--shift-ties"]
    with SandboxProcess(*arguments) as process:

        def data(path, query):
            return fetch(process.url, f"/1688/{path}?apiToken=sandbox&{query}")["data"]

        assert data("search/items", "keyword=T%E6%81%A4")["total_count"] == 30
        band = "keyword=T%E6%81%A4&price_start=9.90&price_end="
        assert data("search/items", f"{band}9.91")["total_count"] == 12
        assert data("search/items", f"{band}9.90")["total_count"] == 0
        shop = data("shop/items/v2", "shop_url=a.1688.com/?id=1")
        assert (shop["total_count"], len(shop["items"])) == (60, 21)
        assert [child["id"] for child in data("category/info", "")["children"]] == ["7"]
        flags = [f"free_shipping={flag}&is_super_factory={flag}" for flag in ("true", "false")]
        counts = [data("category/items/v2", f"cat_id=7&{flag}")["total_count"] for flag in flags]
        assert max(counts) < 30
        changes = fetch(process.url, "/__set__", b'{"ceiling":null,"shift":0}')
        assert (changes["ceiling"], changes["shift"]) == (None, 0)
        assert data("category/items/v2", "cat_id=7")["total_count"] == 60


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--prices", "7=cheap"], "'cheap' is not a price"),
        (["--shift", "-1"], "shift must be 0 or more"),
        (["--ceiling", "-1"], "ceiling must be 0 or more"),
        (["--tree", "0"], "tree must be at least 1"),
        (["--root", "forest"], "invalid choice"),
    ],
)
def test_sandbox_command_refuses_bad_listing_options(capsys, arguments, message):
    """A bad value ends the command with exit 2 and is named, before anything is served."""
    try:
        code = main([*arguments, "--port", "0"])
    except SystemExit as exit_:
        code = exit_.code
    assert code == 2
    assert message in capsys.readouterr().err


@pytest.mark.slow
def test_sandbox_process_that_does_not_start_says_so():
    """Bad arguments end the process, and entering fails."""
    with pytest.raises(RuntimeError, match="did not start"), SandboxProcess("--limit", "-1"):
        pytest.fail("a limit of -1 was accepted")


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_sandbox_command_ends_on_a_signal(number):
    """The command prints its URL first, and a signal ends it cleanly."""
    pipe = subprocess.PIPE
    with subprocess.Popen(COMMAND, stdout=pipe, stderr=pipe) as process:  # noqa: S603 - our own module
        assert process.stdout.readline().startswith(b"http://127.0.0.1:")
        process.send_signal(number)
        out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (0, b"", b"")


@pytest.mark.slow
def test_sandbox_command_ends_with_its_parent():
    """With --exit-with-parent, closing its standard input ends it."""
    pipe = subprocess.PIPE
    command = [*COMMAND, "--exit-with-parent"]
    with subprocess.Popen(command, stdin=pipe, stdout=pipe) as process:  # noqa: S603 - our own module
        assert process.stdout.readline().startswith(b"http://")
        process.stdin.close()
        assert process.wait(timeout=20) == 0


PARENT = """
import subprocess, sys
command = [sys.executable, "-m", "tmapi_async.sandbox", "--exit-with-parent"]
child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
sys.stdout.write(child.stdout.readline().decode())
sys.stdout.flush()
sys.stdin.readline()
"""


@pytest.mark.slow
def test_sandbox_command_does_not_outlive_a_killed_parent():
    """With --exit-with-parent, the death of the process that started it ends it too."""
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", PARENT]
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as parent:  # noqa: S603 - our own text
        address = ("127.0.0.1", int(parent.stdout.readline().rpartition(":")[2]))
        with socket.create_connection(address) as kept:
            parent.kill()
            kept.settimeout(20)
            # The sandbox closes it, which is how we know without polling.
            with contextlib.suppress(ConnectionResetError):
                assert kept.recv(1) == b""
    with pytest.raises(ConnectionError):
        socket.create_connection(address)


@pytest.mark.slow
def test_sandbox_command_takes_sizes():
    """Categories and their sizes can be given one by one."""
    with SandboxProcess("--size", "7=45", "--size", "8=0") as process:
        assert fetch(process.url, "/__catalogue__")["categories"] == {"7": 45, "8": 0}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--fault", "teapot=0.1"], "unknown faults"),
        (["--fault", "500"], "must be NAME=PROBABILITY"),
        (["--latency", "-1"], "latency must be 0 or more"),
        (["--bodies", "/nonexistent"], "/nonexistent"),
        (["--endless", "5=often"], "endless"),
        (["--host", "256.0.0.1"], "tmapi sandbox: "),
    ],
)
def test_sandbox_command_refuses_bad_arguments(arguments, message, capsys):
    """A bad value ends the command with 2 and one line that says what is wrong."""
    assert main(arguments, "tmapi sandbox") == 2
    told = capsys.readouterr()
    assert message in told.err
    assert (told.err.count("\n"), told.out) == (1, "")


def test_sandbox_command_explains_itself(capsys):
    """--help names the faults; an unknown option is refused with 2."""
    with pytest.raises(SystemExit) as helped:
        main(["--help"], "tmapi sandbox")
    assert helped.value.code == 0
    assert "oversized-gzip" in capsys.readouterr().out
    with pytest.raises(SystemExit) as refused:
        main(["--teapot"])
    assert refused.value.code == 2


async def test_a_parent_that_dies_while_the_url_is_told_is_noticed(monkeypatch):
    """A parent that ends while the URL is printed is noticed."""
    parents = iter([4242])
    monkeypatch.setattr(process_module.os, "getppid", lambda: next(parents, 1))
    await asyncio.wait_for(serve(Config(), lambda _: None, exit_with_parent=True), 20)
