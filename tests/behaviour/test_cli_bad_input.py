"""Bad input is refused with exit 2 in one clear line, before anything is sent."""

from __future__ import annotations

import contextlib
import os
import signal
import ssl
import subprocess

import pytest
import trustme

from tests.support.commands import environment, finish, run, spawn
from tmapi_async.sandbox.server.process import SandboxThread

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def sandbox():
    """A sandbox that must receive no request."""
    with SandboxThread(categories={7: 45}) as running:
        yield running


def refused(done, sandbox):
    """Check that a command was refused before any request, and return its one message."""
    sent, sandbox.sandbox.stats.requests = sandbox.sandbox.stats.requests, 0
    assert (done.code, done.out, sent) == (2, b"", 0)
    lines = done.messages
    assert len(lines) == 1
    assert lines[0].endswith("nothing was sent")
    return lines[0]


ID_LINES = {
    "0": "'0' is not a category ID",
    "abc": "'abc' is not a category ID",
    "": "'' is not a category ID",
    "1.0": "'1.0' is not a category ID",
    "1e3": "'1e3' is not a category ID",
    "0x10": "'0x10' is not a category ID",
    "1_000": "'1_000' is not a category ID",
    "\u0667": "is not a category ID",
    "9223372036854775808": "is not a category ID",
    "9" * 5000: "is not a category ID",
    "7,8": "'7,8' is not a category ID",
    "7 8": "'7 8' is not a category ID",
}


@pytest.mark.parametrize("argument", ID_LINES, ids=lambda text: text[:20])
def test_an_argument_that_is_no_id_is_refused(tmapi, sandbox, argument):
    """An ID that is no positive 64-bit integer is refused and named in the message."""
    line = refused(tmapi("items", "7", argument, url=sandbox.url), sandbox)
    assert ID_LINES[argument] in line
    assert len(line) < 250


@pytest.mark.parametrize("argument", ["-5", "-1", "-1031910"])
def test_a_negative_id_is_refused_as_an_id(tmapi, sandbox, argument):
    """A negative number is reported as a bad ID, not as an unknown option."""
    line = refused(tmapi("items", "7", argument, url=sandbox.url), sandbox)
    assert f"'{argument}' is not a category ID" in line
    line = refused(tmapi("items", "7", "--", argument, url=sandbox.url), sandbox)
    assert f"'{argument}' is not a category ID" in line


FILES = {
    "empty": (b"", "no category IDs"),
    "only comments": (b"# nothing\n\n   \n#7", "no category IDs"),
    "only a BOM": (b"\xef\xbb\xbf", "no category IDs"),
    "bad line": (b"7\n8\nnine\n10\n", "line 3: 'nine' is not a category ID"),
    "zero": (b"0", "line 1: '0' is not a category ID"),
    "negative": (b"7\r\n-8\r\n", "line 2: '-8' is not a category ID"),
    "after comments": (b"# a\n\n7 # b\nx\n", "line 4: 'x' is not a category ID"),
    "two on a line": (b"7 8\n", "line 1: '7 8' is not a category ID"),
    "UTF-16": ("7\nnine\n".encode("utf-16"), "line 2: 'nine' is not a category ID"),
    "NUL": (b"7\n\x008\n", "line 2 has NUL characters"),
    "not text": (b"\xff\xfe\xfd\n", "line 1: "),
    "escapes": (b"7\n\x1b[31mred\x1b[0m\n", "line 2: "),
    "CR alone": (b"7\r8\r9", "line 1: "),
    "long": (b"7\n" + b"1" * 30_000 + b"\n", "line 2: "),
    "after a long comment": (b"#" + b"x" * 25_000 + b"\nbad\n", "line 2: 'bad'"),
    "BOM later": (b"7\n\xef\xbb\xbf8\n", "line 2: "),
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("stdin", [False, True])
def test_a_list_with_a_bad_line_is_refused_with_its_number(tmapi, sandbox, tmp_path, name, stdin):
    """A whole list of IDs is checked; the message names source and number of the first bad line."""
    content, reason = FILES[name]
    id_file = tmp_path / "ids.txt"
    id_file.write_bytes(content)
    if stdin:
        done = tmapi("items", "-", url=sandbox.url, stdin=content)
    else:
        done = tmapi("items", f"@{id_file}", url=sandbox.url)
    line = refused(done, sandbox)
    assert reason in line
    if "line " in reason:
        assert ("standard input" if stdin else str(id_file)) in line
    assert "\x1b" not in line
    assert "\x00" not in line


def test_what_a_long_comment_ends_with_is_no_id(tmapi, sandbox, tmp_path):
    """A long comment is skipped to its end, although the reader reads it in pieces."""
    id_file = tmp_path / "ids.txt"
    for length in (9_998, 9_999, 10_000, 10_001, 20_000):
        id_file.write_bytes(b"#" + b"x" * (length - 1) + b"123\nbad")
        line = refused(tmapi("items", f"@{id_file}", url=sandbox.url), sandbox)
        assert "line 2: 'bad'" in line


@pytest.mark.slow
def test_a_large_list_with_a_bad_last_line_is_refused(tmapi, sandbox, tmp_path):
    """Ten megabytes of IDs are read to the end before the first request."""
    id_file = tmp_path / "ids.txt"
    lines = 1_000_000
    id_file.write_bytes(b"".join(b"%d\n" % n for n in range(10**9, 10**9 + lines)) + b"bad")
    assert id_file.stat().st_size > 10_000_000
    line = refused(tmapi("items", f"@{id_file}", url=sandbox.url), sandbox)
    assert f"line {lines + 1}: 'bad' is not a category ID" in line


@pytest.mark.parametrize("name", ["missing", "folder", "loop", ""])
def test_a_list_that_cannot_be_read_is_refused(tmapi, sandbox, tmp_path, name):
    """A list that is missing, not a file or not readable is named with the reason."""
    (tmp_path / "folder").mkdir()
    # Not even root can read a link to itself, as it can a file without permissions.
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    line = refused(tmapi("items", f"@{tmp_path / name}", url=sandbox.url), sandbox)
    assert "cannot read category IDs from" in line


OPTIONS = {
    ("--timeout", "0"): "timeout",
    ("--timeout", "-1"): "timeout",
    ("--timeout", "nan"): "timeout",
    ("--timeout", "inf"): "timeout",
    ("--wait", "-1"): "wait must be 0 or more",
    ("--wait", "nan"): "wait must be 0 or more",
    ("--wait", "inf"): "wait must be 0 or more",
    ("--concurrency", "0"): "concurrency",
    ("--concurrency", "-1"): "concurrency",
    ("--concurrency", "many"): "--concurrency must be auto or a number",
    ("--concurrency", "1.5"): "--concurrency",
    ("--concurrency", ""): "--concurrency",
    ("--rate", "0"): "rate",
    ("--rate", "-1"): "rate",
    ("--rate", "nan"): "rate",
    ("--rate", "inf"): "rate",
    ("--lookahead", "-1"): "lookahead",
    ("--lookahead", "on"): "--lookahead must be auto, off or a number",
    ("--max-requests", "0"): "max_requests",
    ("--max-requests", "-3"): "max_requests",
    ("--max-pages", "0"): "--max-pages",
    ("--max-pages", "-3"): "--max-pages",
    ("--auth", "cookie"): "auth must be 'query' or 'header'",
    ("--base-url", ""): "base URL",
    ("--base-url", "127.0.0.1"): "base URL",
    ("--base-url", "ftp://127.0.0.1"): "base URL",
    ("--base-url", "http://127.0.0.1:http"): "base URL",
    ("--base-url", "http://user:pass@127.0.0.1"): "base URL",
    ("--base-url", "http://127.0.0.1?a=b"): "base URL",
    ("--token", ""): "no token",
    ("--token", "two words"): "the token contains white space",
    ("--token-file", "/missing"): "cannot read /missing",
    ("--token-file", "/"): "cannot read /",
    ("--token-file", "/dev/null"): "must contain one token",
}


@pytest.mark.parametrize("option", OPTIONS, ids=" ".join)
def test_an_option_that_makes_no_sense_is_refused(tmapi, sandbox, option):
    """A bad value is refused; the message names the option."""
    assert OPTIONS[option] in refused(tmapi("items", "7", *option, url=sandbox.url), sandbox)


@pytest.mark.parametrize(
    "arguments",
    [
        ["items"],
        ["items", "7", "--timeout", "soon"],
        ["items", "7", "--rate", "fast"],
        ["items", "7", "--max-pages", "1.5"],
        ["items", "7", "--max-requests", "all"],
        ["items", "7", "--no-such-option"],
        ["items", "7", "--timeout"],
        ["no-such-command"],
        ["--no-such-option"],
    ],
    ids=" ".join,
)
def test_wrong_usage_is_exit_2(tmapi, sandbox, arguments):
    """Options that the parser refuses are exit 2, without a traceback."""
    done = tmapi(*arguments, url=sandbox.url)
    assert (done.code, done.out) == (2, b"")
    assert sandbox.sandbox.stats.requests == 0
    assert "Traceback" not in done.err
    assert done.err.strip()


def test_a_missing_token_is_refused(tmapi, sandbox):
    """Without a token nothing is sent, and the message names the variable to set."""
    assert "TMAPI_TOKEN" in refused(tmapi("items", "7", url=sandbox.url, token=""), sandbox)


def test_the_sandbox_goes_with_no_other_server(tmapi, sandbox):
    """`--sandbox` beside a base URL or a token is a contradiction, and refused as one."""
    for more in (["--base-url", sandbox.url], ["--token", "x"], ["--token-file", "x"]):
        assert "--sandbox" in refused(tmapi("items", "7", "--sandbox", *more), sandbox)


def test_a_token_file_with_two_lines_is_refused(tmapi, sandbox, tmp_path):
    """A file with more than one token is refused; the message does not quote it."""
    token_file = tmp_path / "token"
    token_file.write_text("first-secret\nsecond-secret\n")
    line = refused(tmapi("items", "7", "--token-file", str(token_file), url=sandbox.url), sandbox)
    assert "secret" not in line


def trouble(done):
    """Return the lines about listings of a command that could not reach the API."""
    assert (done.code, done.out) == (3, b"")
    assert done.summary["stopped_by"] is None
    assert done.summary["complete"] == done.summary["capped"] == 0
    return [line for line in done.messages if "category/items" in line]


def test_a_closed_port_is_exit_3_in_one_line(tmapi):
    """The message names host, port and reason, once, after a few attempts."""
    with SandboxThread() as gone:
        url = gone.url
    done = tmapi("items", "7", "8", "9", "--json", url=url)
    (line,) = trouble(done)
    assert "Connection refused" in line
    assert url.removeprefix("http://") in line
    assert done.summary["requests"] <= 9


def test_an_unknown_host_is_exit_3_in_one_line(tmapi):
    """The message names a host that cannot be found, once."""
    done = tmapi("items", "7", "8", "--json", url=f"http://{'x' * 70}.localhost")
    (line,) = trouble(done)
    assert ".localhost" in line
    assert "Check the base URL" in line


@pytest.fixture(scope="module")
def authority():
    """Certificate authority for the tests."""
    return trustme.CA()


def secured(authority, *names):
    """Return the TLS context of a server with a certificate for some names."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    return context


@pytest.mark.slow
@pytest.mark.parametrize(
    ("names", "trusted", "reason"),
    [
        (["127.0.0.1"], False, "certificate"),
        (["api.example.com"], True, "mismatch"),
        (["api.example.com"], False, "certificate"),
    ],
)
def test_a_certificate_that_does_not_fit_is_told_with_the_ways_out(
    authority, tmp_path, names, trusted, reason
):
    """A wrong name or an unknown authority ends the work at once; verification stays on."""
    ca_file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(ca_file)
    trust = {"SSL_CERT_FILE": str(ca_file)} if trusted else {}
    with SandboxThread(ssl=secured(authority, *names)) as sandbox:
        env = environment(sandbox.url, **trust)
        done = run("items", "7", "8", "9", "--json", env=env)
        assert sandbox.sandbox.stats.requests == 0
    (line,) = trouble(done)
    assert "could not be verified" in line
    assert reason in line
    assert "api.tmapi.io" in line
    assert "exposes the token" in line
    assert "SSL_CERT_FILE" in line
    # One width of attempts at most: what fails for one fails for all.
    assert done.summary["requests"] <= 3


@pytest.mark.slow
def test_a_certificate_that_fits_is_taken(authority, tmp_path):
    """HTTPS works with an authority that the environment trusts."""
    ca_file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(ca_file)
    with SandboxThread(ssl=secured(authority, "127.0.0.1"), categories={7: 45}) as sandbox:
        done = run("items", "7", env=environment(sandbox.url, SSL_CERT_FILE=str(ca_file)))
    assert (done.code, len(done.rows)) == (0, 45)


def test_https_to_a_plain_server_is_told(tmapi):
    """A server that does not speak TLS is a failed connection, in one line."""
    with SandboxThread() as sandbox:
        done = tmapi("items", "7", "--json", url=sandbox.url.replace("http:", "https:"))
    (line,) = trouble(done)
    assert "the connection failed" in line


@pytest.mark.slow
def test_standard_input_may_be_closed():
    """IDs given as arguments need no standard input: jobs are started without one."""
    closed = 'exec 0<&-; exec "$@"'
    with SandboxThread(categories={7: 45}) as sandbox:
        done = finish(_by_shell(closed, "items", "7", url=sandbox.url))
        assert (done.code, len(done.rows)) == (0, 45)
        done = finish(_by_shell(closed, "items", "-", url=sandbox.url))
        assert (done.code, done.out) == (2, b"")
        assert "no category IDs" in done.err


@pytest.mark.slow
@pytest.mark.parametrize("script", ['exec 1>&-; exec "$@"', 'exec 1</dev/null; exec "$@"'])
def test_rows_that_cannot_be_written_are_no_success(script):
    """With standard output closed or read-only, the exit code is not 0."""
    with SandboxThread(categories={7: 5}) as sandbox:
        done = finish(_by_shell(script, "items", "7", "--json", url=sandbox.url))
    assert done.code in (2, 3)
    assert done.out == b""
    assert any("standard output" in line or "cannot write" in line for line in done.messages)


@pytest.mark.slow
def test_standard_error_may_be_closed():
    """Without standard error, rows and exit code are the same."""
    with SandboxThread(categories={7: 45}) as sandbox:
        closed = 'exec 2>&-; exec "$@"'
        done = finish(_by_shell(closed, "items", "7", "8", "8", "--json", "-vv", url=sandbox.url))
        assert (done.code, len(done.rows)) == (0, 45)
        assert finish(_by_shell(closed, "items", "x", url=sandbox.url)).code == 2


def _by_shell(script, *arguments, url):
    return spawn(*arguments, env=environment(url), before=["/bin/sh", "-c", script, "sh"])


@pytest.mark.slow
def test_an_interrupt_while_ids_are_read_is_exit_3(sandbox, tmp_path):
    """Ctrl-C on a command that still waits for its IDs ends it without a traceback."""
    pipe = tmp_path / "ids"
    os.mkfifo(pipe)
    sent = sandbox.sandbox.stats.requests
    process = spawn("items", f"@{pipe}", env=environment(sandbox.url))
    with pipe.open("wb") as ids:  # waits until the command has opened it
        ids.write(b"7\n")
        ids.flush()
        # Python does not see a signal that comes between its last look and the read that waits: as
        # at a terminal, whoever presses Ctrl-C in that moment presses it again.
        while process.poll() is None:
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(5)
    done = finish(process)
    assert (done.code, done.out) == (3, b"")
    assert done.messages == ["tmapi: interrupted"]
    assert sandbox.sandbox.stats.requests == sent
