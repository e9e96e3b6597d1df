"""`tmapi harvest`, `status`, `replay`: summary, exit codes and words are those of the contract."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import select
import signal
import sqlite3
import subprocess
import time

import msgspec
import pytest

from tests.support.commands import SUMMARY_KEYS, environment, finish, run, spawn
from tests.support.s3_server import SECRET, s3_server
from tmapi_async.cli.progress import progress_display as display
from tmapi_async.harvest import JournalReader
from tmapi_async.sandbox import Drift, Faults
from tmapi_async.sandbox.server.process import SandboxThread

SIZES = {7: 95, 1031910: 20, 9: 0}
IDS = [str(cat_id) for cat_id in SIZES]
MANY = dict.fromkeys(range(1, 60), 100)


@pytest.fixture
def journal(tmp_path):
    """Return the path of the journal of a test, as typed."""
    return str(tmp_path / "test.journal")


@pytest.fixture
def sandbox():
    """A sandbox with three categories, one of them empty."""
    with SandboxThread(categories=SIZES) as running:
        yield running


def summary(done):
    """Return the last line of standard output, which must be the summary as JSON."""
    totals = msgspec.json.decode(done.out.splitlines()[-1])
    assert list(totals) == SUMMARY_KEYS
    assert "Traceback" not in done.err
    return totals


def journal_items(journal):
    """Return category ID -> distinct item IDs in the journal."""
    items = {}
    with JournalReader(journal) as reader:
        for page in reader.pages():
            rows = msgspec.json.decode(page.body)["data"]["items"]
            known = items.setdefault(page.listing.cat_id, set())
            known.update(int(row["item_id"]) for row in rows)
    return items


def catalogue_items(sandbox):
    """Return category ID -> distinct item IDs in the catalogue."""
    catalogue = sandbox.sandbox.catalogue
    return {cat_id: set(catalogue.item_ids(cat_id)) for cat_id in catalogue.category_ids}


def wait_until(holds, within=20.0):
    """Poll until a condition holds."""
    end = time.monotonic() + within
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_a_harvest_and_the_same_again(tmapi, sandbox, journal):
    """The first run reads everything, the second sends nothing; both exit 0 with equal counts."""
    done = tmapi("harvest", *IDS, "--journal", journal, "--json", url=sandbox.url)
    assert done.code == 0
    first = summary(done)
    assert (first["listings"], first["complete"], first["stopped"]) == (3, 3, 0)
    assert (first["pages"], first["items"], first["unique_items"]) == (7, 115, 115)
    assert first["requests"] == sandbox.sandbox.stats.requests
    assert journal_items(journal) == catalogue_items(sandbox)
    done = tmapi("harvest", *IDS, "--journal", journal, "--json", url=sandbox.url)
    assert done.code == 0
    again = summary(done)
    sent = ("requests", "retries", "wasted", "codes", "seconds", "pages_per_second")
    assert {**again, **{key: first[key] for key in sent}} == first
    assert (again["requests"], again["codes"]) == (0, {})
    assert "COMPLETE: 3 of 3 listings" in done.err


def test_the_end_names_each_listing_and_how_it_ended(tmapi, sandbox, journal):
    """A table with a line for each listing, then one line that cannot be misread."""
    sandbox.sandbox.faults = Faults(script={(7, 2): "422"})
    limits = ("--max-pages", "1")
    done = tmapi("harvest", *IDS, "--journal", journal, *limits, url=sandbox.url)
    assert done.code == 0
    assert "CAPPED: 2 of 3 listings complete (of them 1 empty), 1 capped. " in done.err
    done = tmapi(
        "harvest", *IDS, "--journal", journal, "--lookahead", "off", "--json", url=sandbox.url
    )
    assert done.code == 3
    table = [line.split() for line in done.err.splitlines() if line.startswith("category/items?")]
    assert [row[1] for row in table] == ["failed", "complete", "empty"]
    assert table[1][2:] == ["1", "20", "20", "0", "0"]
    assert "failed: category/items?cat_id=7 page 2: code 422" in done.err
    assert "NOT COMPLETE: 2 of 3 listings finished, 1 failed" in done.err
    assert (summary(done)["failed"], summary(done)["stopped_by"]) == (1, None)


def test_a_spent_budget_says_how_to_go_on(tmapi, sandbox, journal):
    """A spent budget is exit 3; the message shows the command that continues, without the token."""
    arguments = ("harvest", *IDS, "--journal", journal, "--max-requests", "2", "--json")
    done = tmapi(*arguments, "--token", "sandbox", url=sandbox.url)
    assert done.code == 3
    assert (summary(done)["stopped_by"], summary(done)["requests"]) == ("budget", 2)
    last = done.err.splitlines()[-1]
    assert "NOT COMPLETE" in last
    again = f"tmapi harvest {' '.join(IDS)} --journal {journal} --max-requests 2 --json"
    assert f"To continue, run: {again}" in last
    assert "sandbox" not in last
    codes = []
    while (done := tmapi(*arguments, url=sandbox.url)).code == 3:
        codes.append(done.code)
    assert done.code == 0
    assert 1 <= len(codes) <= 4
    assert journal_items(journal) == catalogue_items(sandbox)


@pytest.mark.parametrize(("fault", "why"), [("439", "balance"), ("401", "auth"), ("403", "auth")])
def test_a_refused_account_is_exit_4(tmapi, sandbox, journal, fault, why):
    """A refused token or balance is exit 4; the same command continues later."""
    sandbox.sandbox.faults = Faults(script={(7, 3): fault})
    done = tmapi("harvest", *IDS, "--journal", journal, "--json", url=sandbox.url)
    assert (done.code, summary(done)["stopped_by"]) == (4, why)
    sandbox.sandbox.faults = Faults()
    again = tmapi("harvest", *IDS, "--journal", journal, "--json", url=sandbox.url)
    assert again.code == 0
    assert journal_items(journal) == catalogue_items(sandbox)
    looks = summary(again)["second_looks"]
    # A last page whose end was not proven when the work stopped is requested again, too.
    assert 1 <= looks <= sandbox.sandbox.stats.extra_servings <= looks + 1


def test_a_refresh_makes_a_run_only_when_all_is_complete(tmapi, sandbox, journal):
    """`--refresh` continues an unfinished run; after that it begins a new run and keeps the old."""
    base = ("harvest", *IDS, "--journal", journal, "--refresh", "--json")
    assert tmapi(*base, "--max-requests", "2", url=sandbox.url).code == 3
    assert tmapi(*base, url=sandbox.url).code == 0
    with JournalReader(journal) as reader:
        assert len(reader.runs()) == 1
    done = tmapi(*base, url=sandbox.url)
    assert (done.code, summary(done)["requests"]) == (0, 7)
    with JournalReader(journal) as reader:
        assert len(reader.runs()) == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ("7",),
        ("--journal", "x.journal"),
        ("7", "--journal", "x.journal", "--most-rejects", "2"),
        ("7", "--journal", "x.journal", "--max-pages", "0"),
        ("7", "--journal", "x.journal", "--concurrency", "0"),
        ("7", "--journal", "x.journal", "--to", "x.doc"),
        ("0", "--journal", "x.journal"),
        ("7", "--journal", "."),
        ("7", "--journal", "nowhere/x.journal"),
    ],
    ids=" ".join,
)
def test_bad_usage_is_exit_2_and_sends_nothing(tmapi, sandbox, tmp_path, monkeypatch, arguments):
    """Options that contradict one another are refused before a request is sent or a file made."""
    monkeypatch.chdir(tmp_path)
    done = tmapi("harvest", *arguments, url=sandbox.url)
    assert done.code == 2
    assert sandbox.sandbox.stats.requests == 0
    assert list(tmp_path.iterdir()) == []


def test_somebody_elses_file_is_exit_2(tmapi, sandbox, journal):
    """Every command names a file that is not a journal and leaves it unchanged."""
    with open(journal, "w", encoding="utf-8") as file:  # noqa: PTH123 - as typed
        file.write("a shopping list\n" * 50)
    for arguments in (
        ("harvest", "7", "--journal", journal),
        ("status", journal),
        ("replay", journal),
    ):
        done = tmapi(*arguments, url=sandbox.url)
        assert done.code == 2
        assert "is not a journal of tmapi" in done.err
    assert sandbox.sandbox.stats.requests == 0


def test_the_run_can_be_exported_at_the_end(tmapi, sandbox, journal, tmp_path):
    """`--to` writes the rows; `--to -` prints them, and the summary goes to standard error."""
    rows = tmp_path / "rows.jsonl"
    arguments = ("harvest", *IDS, "--journal", journal, "--json")
    done = tmapi(*arguments, "--to", str(rows), "--to", "-", url=sandbox.url)
    assert done.code == 0
    assert done.summary["items"] == 115 == len(done.rows)
    assert rows.read_bytes() == done.out


def test_the_listings_of_the_command_are_exported_over_runs(tmapi, sandbox, journal, tmp_path):
    """`--to` writes every listing of the command, whichever run fetched it, and no other one."""
    rows = tmp_path / "rows.jsonl"
    tmapi("harvest", *IDS, "--journal", journal, "-q", url=sandbox.url)
    tmapi("harvest", "1031910", "--journal", journal, "--refresh", "-q", url=sandbox.url)
    for ids, count in ((("7", "9"), 95), (("7", "1031910"), 115), (("1031910",), 20)):
        done = tmapi("harvest", *ids, "--journal", journal, "--to", str(rows), url=sandbox.url)
        assert done.code == 0
        lines = [msgspec.json.decode(line) for line in rows.read_bytes().splitlines()]
        assert len(lines) == count
        assert {line["cat_id"] for line in lines} == {int(cat_id) for cat_id in ids} - {9}
        left_out = 3 - len(ids)
        assert f"{left_out} other listing" in done.err


def test_a_database_is_checked_before_anything_is_sent(tmapi, sandbox, journal, tmp_path):
    """A database that cannot be reached ends with exit 3, and costs no request."""
    to = f"postgresql://me:s3cret@/db?host={tmp_path}"
    done = tmapi("harvest", *IDS, "--journal", journal, "--to", to, url=sandbox.url)
    assert done.code == 3
    assert "nothing was sent" in done.err
    assert "s3cret" not in done.err
    assert sandbox.sandbox.stats.requests == 0


def test_a_store_is_checked_before_anything_is_sent(tmapi, sandbox, journal, monkeypatch):
    """An object that the store refuses costs no request; in the right bucket it gets the rows."""
    with s3_server() as store:
        for name, value in store.environment.items():
            monkeypatch.setenv(name, value)
        harvest = ("harvest", *IDS, "--journal", journal, "--to")
        done = tmapi(*harvest, "s3://absent/a.jsonl", url=sandbox.url)
        assert done.code == 3
        assert "s3://absent/a.jsonl: there is no such bucket; nothing there was" in done.err
        assert "nothing was sent" in done.err
        assert sandbox.sandbox.stats.requests == 0
        done = tmapi(*harvest, "s3://shop/a.jsonl", url=sandbox.url)
        assert done.code == 0
        assert "s3://shop/a.jsonl: 115 rows" in done.err
        assert store.objects["a.jsonl"].count(b"\n") == 115
        assert SECRET not in done.err


def test_quiet_is_quiet(tmapi, sandbox, journal):
    """With `-q` a successful harvest prints nothing."""
    done = tmapi("harvest", *IDS, "--journal", journal, "-q", url=sandbox.url)
    assert (done.code, done.out, done.err) == (0, b"", "")


def test_many_complete_listings_are_summed(tmapi, tmp_path, journal):
    """Failed listings are shown one by one, complete ones as one row; --all shows every listing."""
    faults = Faults(script={50: "422"})
    with SandboxThread(categories=dict.fromkeys(range(1, 61), 1), faults=faults) as sandbox:
        ids = tmp_path / "ids.txt"
        ids.write_text("\n".join(map(str, range(1, 61))), encoding="utf-8")
        done = tmapi("harvest", f"@{ids}", "--journal", journal, url=sandbox.url)
        assert done.code == 3
        table = [line for line in done.err.splitlines() if line.startswith("category/items?")]
        assert len(table) == 1
        assert "cat_id=50 " in table[0]
        assert re.search(r"\n59 complete listings +complete +59 +59 +59 ", done.err)
        assert "\nto see every listing, run tmapi status FILE --all" in done.err
        done = tmapi("status", journal, "--all")
        assert (
            sum(line.startswith("category/items?") for line in done.out.decode().splitlines()) == 60
        )


# -- signals and kills


@pytest.fixture
def slow():
    """A sandbox that is busy for a while."""
    with SandboxThread(categories=MANY, latency=0.02, limit=8) as running:
        yield running


def started(sandbox, journal, *more):
    """Start a harvest in another process and wait for its first twenty pages."""
    ids = [str(cat_id) for cat_id in MANY]
    process = spawn("harvest", *ids, "--journal", journal, *more, env=environment(sandbox.url))
    wait_until(lambda: sandbox.sandbox.stats.billed > 20)
    return process


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_drains_and_the_same_again_goes_on(slow, journal, number):
    """Ctrl-C and SIGTERM keep every paid page and exit 3; continuing pays for no page twice."""
    process = started(slow, journal, "--json", "--lookahead", "off")
    process.send_signal(number)
    done = finish(process)
    totals = summary(done)
    assert (done.code, totals["stopped_by"]) == (3, "signal")
    assert "press Ctrl-C again to stop now" in done.err
    assert totals["stopped"] > 0
    assert totals["pages"] == slow.sandbox.stats.billed
    slow.sandbox.latency = 0.0
    ids = [str(cat_id) for cat_id in MANY]
    done = run("harvest", *ids, "--journal", journal, "--json", env=environment(slow.url))
    assert done.code == 0
    assert journal_items(journal) == catalogue_items(slow)
    assert slow.sandbox.stats.extra_servings == summary(done)["second_looks"] > 0
    assert "to compare with earlier starts" in done.err


@pytest.mark.slow
def test_a_second_signal_stops_now(slow, journal):
    """With requests that hang, the second Ctrl-C ends it at once, with the summary."""
    process = started(slow, journal, "--json")
    slow.call(slow.sandbox.hold)
    wait_until(lambda: slow.sandbox.stats.in_flight > 0)
    process.send_signal(signal.SIGINT)
    os.set_blocking(process.stderr.fileno(), False)
    messages = b""
    while b"again to stop" not in messages:
        select.select([process.stderr], [], [], 20)
        messages += process.stderr.read() or b""
    process.send_signal(signal.SIGINT)
    os.set_blocking(process.stderr.fileno(), True)
    done = finish(process)
    slow.call(slow.sandbox.release)
    assert (done.code, summary(done)["stopped_by"]) == (3, "signal")
    assert "stopping now" in done.err
    with JournalReader(journal) as reader:
        assert reader.writer is None
        assert reader.starts()[-1].stopped_by == "signal"


@pytest.mark.slow
def test_status_tells_a_running_harvest_from_a_killed_one(tmapi, slow, journal):
    """Status names the process of a running harvest, and the unfinished part of a killed one."""
    process = started(slow, journal)
    done = tmapi("status", journal)
    assert f"process {process.pid} is writing to it now" in done.out.decode()
    assert "A harvest is running." in done.out.decode()
    second = tmapi("harvest", "7", "--journal", journal, url=slow.url)
    assert second.code == 2
    assert f"another process writes to this journal (pid {process.pid})" in second.err
    process.kill()
    finish(process)
    done = tmapi("status", journal)
    text = done.out.decode()
    assert "not in use" in text
    assert re.search(r"1 +\S+ \S+ +\S+ s +killed", text)
    assert "stopped" in text
    assert "not begun" in text
    assert "NOT COMPLETE" in text
    totals = summary(tmapi("status", journal, "--json"))
    assert (totals["listings"], totals["stopped_by"]) == (len(MANY), None)
    assert 0 < totals["pages"] < 5 * len(MANY)
    assert totals["complete"] + totals["stopped"] == len(MANY)


def test_status_shows_runs_starts_and_failures(tmapi, sandbox, journal):
    """Status shows every run, the cost of every start, each listing, and the failures by name."""
    sandbox.sandbox.faults = Faults(script={9: "422"})
    tmapi("harvest", *IDS, "--journal", journal, url=sandbox.url)
    done = tmapi("status", journal)
    assert done.code == 0
    text = done.out.decode()
    assert "category/items?cat_id=7        complete      5     95      95" in text
    assert "failed: category/items?cat_id=9 page 1: code 422" in text
    assert "NOT COMPLETE: 2 of 3 listings finished, 1 failed" in text
    totals = summary(tmapi("status", journal, "--json"))
    assert (totals["complete"], totals["failed"], totals["codes"]["422"]) == (2, 1, 1)


def test_status_of_nothing_is_exit_2(tmapi, journal):
    """The message says that a journal does not exist; it is not shown as empty."""
    done = tmapi("status", journal)
    assert done.code == 2
    assert "there is no such journal" in done.err


# -- replay


def test_replay_says_what_can_be_read_now(tmapi, journal):
    """Rejects that can be decoded now become items; the others stay and are counted."""
    with SandboxThread(categories={7: 95}, drift=Drift(bad_rows=0.2)) as sandbox:
        tmapi("harvest", "7", "--journal", journal, url=sandbox.url)
    with JournalReader(journal) as reader:
        bad = len(list(reader.rejects()))
        (before,) = reader.visits()
    assert bad
    done = tmapi("replay", journal)
    assert done.code == 0
    assert f"{bad} rejects on" in done.err
    assert f"0 can be read now, {bad} still cannot" in done.err
    # As if an older version had not known the shape of the first row of page 1.
    connection = sqlite3.connect(journal)
    connection.execute("UPDATE page SET items = items - 1, rejects = rejects + 1 WHERE seq = 1")
    connection.execute(
        "UPDATE visit SET items = items - 1, rejects = rejects + 1, unique_items = 1"
    )
    places = connection.execute("SELECT position FROM reject WHERE seq = 1")
    free = min(set(range(20)) - {position for (position,) in places})
    connection.execute("INSERT INTO reject VALUES (1, ?, 'unknown shape', ?)", (free, b"{}"))
    connection.commit()
    connection.close()
    done = tmapi("replay", journal)
    assert f"{bad + 1} rejects on" in done.err
    assert f"1 can be read now, {bad} still cannot" in done.err
    with JournalReader(journal) as reader:
        assert len(list(reader.rejects())) == bad
        (after,) = reader.visits()
    assert after == before


def test_replay_of_nothing_makes_no_journal(tmapi, journal, tmp_path):
    """Replay creates no file; a journal without rejects gets a message."""
    assert tmapi("replay", journal).code == 2
    assert list(tmp_path.iterdir()) == []
    with SandboxThread(categories={7: 5}) as sandbox:
        tmapi("harvest", "7", "--journal", journal, url=sandbox.url)
    done = tmapi("replay", journal)
    assert (done.code, "has no rejects" in done.err) == (0, True)


# -- progress


def test_a_line_an_interval_where_nothing_is_drawn(tmapi, journal, monkeypatch):
    """Without a terminal, progress is one whole line per interval, for a log."""
    monkeypatch.setattr(display, "INTERVAL_SECONDS", 0.01)
    with SandboxThread(categories=MANY, latency=0.01) as sandbox:
        ids = [str(cat_id) for cat_id in range(1, 10)]
        done = tmapi("harvest", *ids, "--journal", journal, url=sandbox.url)
    lines = [line for line in done.err.splitlines() if re.match(r"tmapi: \d+/9 listings, ", line)]
    assert lines
    assert all(
        re.search(r"requests?, ([\d.]+ pages/s, )?\d+ x 503, gate \d+/\d+", line) for line in lines
    )
    assert not any(" 0.0 pages/s" in line for line in lines)


@pytest.mark.slow
def test_on_a_terminal_it_is_drawn(journal):
    """On a terminal a bar is drawn, and removed before the summary."""
    with SandboxThread(categories=MANY, latency=0.03, limit=8) as sandbox:
        main, other = pty.openpty()
        env = environment(sandbox.url, TERM="xterm", COLUMNS="100")
        ids = [str(cat_id) for cat_id in range(1, 20)]
        process = spawn("harvest", *ids, "--journal", journal, env=env, stderr=other)
        os.close(other)
        screen = b""
        with contextlib.suppress(OSError):  # how Linux tells that the other end is closed
            while chunk := os.read(main, 65536):
                screen += chunk
        os.close(main)
        assert process.stdout is not None
        assert process.stdout.read() == b""
        process.stdout.close()
        assert process.wait(20) == 0
    text = screen.decode()
    assert re.search(r"harvesting \d+/19 listings", text)
    assert "\x1b[2K" in text
    assert "not yet on disk" in text
    assert "COMPLETE: 19 of 19 listings" in text.splitlines()[-1]


# -- a full disk


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="limits there are others")
@pytest.mark.parametrize("command", [("harvest", "7"), ("categories",)])
def test_a_disk_that_is_full_before_the_journal_is_made_is_told_as_that(tmp_path, command):
    """The message names the disk, not the rollback that SQLite has already done by itself."""
    limited = ("sh", "-c", 'ulimit -f 8; exec "$@"', "sh")
    with SandboxThread(categories={7: 40}) as sandbox:
        arguments = (*command, "--journal", str(tmp_path / "j"))
        process = spawn(*arguments, env=environment(sandbox.url), before=limited)
        _, messages = process.communicate(timeout=30)
    assert process.returncode == 3
    assert b"the journal's disk fails" in messages
    assert b"roll" not in messages


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 1.2 MB, where this machine allows one."""
    folder = tmp_path / "disk"
    folder.mkdir()
    options = ["-t", "tmpfs", "-o", "size=1200k", "tmpfs", str(folder)]
    mounted = subprocess.run(["mount", *options], capture_output=True, check=False)  # noqa: S603, S607
    if mounted.returncode:
        pytest.skip("only root may mount a small disk")
    yield folder
    # Lazily: a failed test may leave a process behind that waits for this disk.
    subprocess.run(["umount", "--lazy", str(folder)], check=True)  # noqa: S603, S607


@pytest.mark.slow
def test_a_full_disk_is_exit_3_and_loses_nothing(tmapi, small_disk):
    """A harvest on a disk that stays full stops with a message; with more space it continues."""
    path = small_disk / "test.journal"
    with SandboxThread(categories={7: 2000, 8: 2000}) as sandbox:
        arguments = ("harvest", "7", "8", "--journal", str(path), "--json", "--wait", "0")
        arguments += ("--concurrency", "8")
        done = tmapi(*arguments, url=sandbox.url)
        assert done.code == 3
        assert summary(done)["stopped_by"] == "disk"
        assert "free some space" in done.err.lower()
        with JournalReader(path) as reader:
            reader.verify()
            pages = sum(1 for _ in reader.pages())
        assert pages <= sandbox.sandbox.stats.pages_served <= pages + 2 * 8
        grow = ["mount", "-o", "remount,size=20m", str(small_disk)]
        subprocess.run(grow, check=True)  # noqa: S603
        done = tmapi(*arguments, url=sandbox.url)
        assert done.code == 0
        assert journal_items(path) == catalogue_items(sandbox)


@pytest.mark.slow
def test_a_full_disk_that_is_freed_is_waited_for(small_disk):
    """Nothing is requested while the disk is full; with space the harvest goes on by itself."""
    path = small_disk / "test.journal"
    with SandboxThread(categories={7: 2000, 8: 2000}) as sandbox:
        process = spawn("harvest", "7", "8", "--journal", str(path), env=environment(sandbox.url))
        told = process.stderr.readline()
        assert told.startswith(b"tmapi: the journal's disk is full: nothing is requested"), told
        stats = sandbox.sandbox.stats
        # Requests on the wire may still arrive.
        assert not select.select([process.stderr], [], [], 0.5)[0]
        requests = stats.requests
        assert not select.select([process.stderr], [], [], 1.0)[0]
        assert stats.requests == requests
        grow = ["mount", "-o", "remount,size=20m", str(small_disk)]
        subprocess.run(grow, check=True)  # noqa: S603
        done = finish(process)
        assert done.code == 0, done.err
        assert "the journal can be written again" in done.err
        assert stats.pages_served_twice == 0
        assert journal_items(path) == catalogue_items(sandbox)


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="signals there are others")
def test_ctrl_c_ends_the_wait_for_a_full_disk(small_disk):
    """The first Ctrl-C names the pages that wait, the second one gives them up, with exit 3."""
    path = small_disk / "test.journal"
    with SandboxThread(categories={7: 2000, 8: 2000}) as sandbox:
        process = spawn("harvest", "7", "8", "--journal", str(path), env=environment(sandbox.url))
        process.stderr.readline()
        while sandbox.sandbox.stats.in_flight:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        told = process.stderr.readline()
        assert b"for the journal to take" in told, told
        assert b"(the journal's disk is full)" in told
        process.send_signal(signal.SIGINT)
        done = finish(process)
    assert done.code == 3
    assert "cannot be stored" in done.err
    assert "NOT COMPLETE" in done.err


def test_a_job_file_asks_for_a_csv_with_a_byte_order_mark(tmapi, sandbox, tmp_path):
    """`csv_bom` of a job file is the option `--csv-bom`, which also `changes` has."""
    job_file = tmp_path / "job.toml"
    job_file.write_text(
        'journal = "j"\nto = ["a.csv"]\ncsv_bom = true\n[[listings]]\ncat_ids = [7]\n'
    )
    assert tmapi("harvest", "--job", str(job_file), url=sandbox.url).code == 0
    assert (tmp_path / "a.csv").read_bytes().startswith(b'\xef\xbb\xbf"listing"')
    refresh = ["harvest", "7", "--journal", str(tmp_path / "j"), "--refresh"]
    assert tmapi(*refresh, url=sandbox.url).code == 0
    target = tmp_path / "c.csv"
    changes = ["changes", str(tmp_path / "j"), "--csv-bom", "--quiet"]
    assert tmapi(*changes, "--to", str(target)).code == 0
    assert target.read_bytes().startswith(b'\xef\xbb\xbf"change"')
    for refused in (["harvest", "7", "--journal", str(tmp_path / "j"), "--csv-bom"], changes):
        done = tmapi(*refused, url=sandbox.url)
        assert (done.code, "--csv-bom needs a .csv file" in done.err) == (2, True)
