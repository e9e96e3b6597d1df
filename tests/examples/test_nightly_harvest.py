"""The nightly harvest of the examples, as cron starts it, and the units of systemd."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from tests.support.recipes import copy_example, run_bare
from tmapi_async.harvest import JournalReader
from tmapi_async.journal.lock import WriteLock
from tmapi_async.sandbox.server.process import SandboxThread

if not (ROOT / "examples").is_dir():
    pytest.skip("the examples are not in this distribution", allow_module_level=True)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="cron and systemd are not there"),
]

TOKEN = "sandbox-token-of-the-night"  # noqa: S105 - of a sandbox


@pytest.fixture
def sandbox():
    """A sandbox with the two categories of the job."""
    with SandboxThread(categories={1031910: 113, 2806778: 18}, token=TOKEN, limit=8) as thread:
        yield thread


@pytest.fixture
def night(tmp_path, sandbox):
    """A copy of the folder, set up for the sandbox."""
    folder = copy_example("nightly_harvest", tmp_path)
    set_up(folder, TOKEN, sandbox.url)
    return folder


def set_up(folder, token, url):
    """Write the file of variables, as a user does, with the folders that keep tests apart."""
    lines = {
        "TMAPI_TOKEN": token,
        "TMAPI_BASE_URL": url,
        "TMAPI_RUNTIME_DIR": folder,
        "TMAPI_CACHE_DIR": folder,
    }
    text = "".join(f"{name}={value}\n" for name, value in lines.items())
    (folder / "token.env").write_text(text, encoding="utf-8")


def run(folder, *options):
    """Start the script as cron does: from another folder, without a terminal."""
    return run_bare(["/bin/sh", folder / "nightly.sh", *options], Path("/"))


def shown(folder, done):
    """Return everything that a night has printed and written as text."""
    return done.stdout + done.stderr + (folder / "nightly.log").read_text(encoding="utf-8")


def test_a_good_night_is_silent_and_its_repetition_sends_nothing(tmp_path):
    """As it stands, with `--sandbox`: tables and report, no mail, and nothing is paid for twice."""
    folder = copy_example("nightly_harvest", tmp_path)
    for sends in (True, False):
        done = run(folder, "--sandbox")
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        *_, line, verdict = (folder / "nightly.log").read_text("utf-8").splitlines()
        assert ("tmapi: 0 requests" not in line) is sends
        assert verdict.startswith("tmapi: COMPLETE")
    made = {path.name for path in folder.iterdir()}
    assert made >= {"shop.journal", "items.xlsx", "items.parquet", "report.html"}


def test_bad_nights_are_told_and_the_next_start_continues(night, sandbox):
    """Exit codes 3 and 4 and a report of what is there; then nothing is asked for twice."""
    job = night / "job.toml"
    job.write_text(job.read_text("utf-8").replace("5_000", "5"), "utf-8")
    spent = run(night)
    assert (spent.returncode, sandbox.sandbox.stats.requests) == (3, 5)
    assert "NOT COMPLETE" in spent.stdout
    assert (night / "report.html").exists()
    set_up(night, "another-token", sandbox.url)
    refused = run(night)
    assert refused.returncode == 4
    assert "refused" in refused.stdout
    assert "another-token" not in shown(night, refused)
    set_up(night, TOKEN, sandbox.url)
    complete = run(night)
    assert (complete.returncode, complete.stdout) == (0, "")
    assert TOKEN not in shown(night, complete)
    with JournalReader(night / "shop.journal") as journal:
        assert [run.states for run in journal.runs()] == [{"complete": 2}]


def test_a_second_start_beside_the_first_sends_nothing(night, sandbox):
    """Exit code 2, and the message says which process has the journal."""
    lock = WriteLock(night / "shop.journal")
    (night / "shop.journal").touch()
    lock.acquire()
    try:
        done = run(night)
    finally:
        lock.release()
    assert done.returncode == 2
    assert "journal" in done.stdout
    assert sandbox.sandbox.stats.requests == 0


def test_the_crontab_runs_the_script_with_a_path():
    """One line of a job, with the variables that cron knows before it."""
    lines = (ROOT / "examples/nightly_harvest/crontab").read_text("utf-8").splitlines()
    variables, [job] = split_crontab(lines)
    assert set(variables) == {"MAILTO", "PATH"}
    *times, command = job.split(maxsplit=5)
    assert len(times) == 5
    assert command == "sh /srv/tmapi/nightly.sh"


def split_crontab(lines):
    """Return the variables and the jobs of a crontab."""
    used = [line for line in lines if line and not line.startswith("#")]
    variables = dict(line.split("=", 1) for line in used if line[0].isalpha())
    return variables, [line for line in used if not line[0].isalpha()]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not here")
def test_systemd_accepts_the_units(tmp_path):
    """No unknown or misplaced setting, and the service may do little else than its work."""
    folder = copy_example("nightly_harvest", tmp_path)
    service, timer = folder / "tmapi-nightly.service", folder / "tmapi-nightly.timer"
    text = service.read_text("utf-8")
    assert text.count("/opt/tmapi/bin/tmapi ") == 2
    text = text.replace("/opt/tmapi/bin/tmapi ", "/bin/true ")
    service.write_text(text, "utf-8")  # a program that is there
    analyze = ["systemd-analyze", "--man=no"]
    done = run_bare([*analyze, "verify", service, timer], tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    done = run_bare([*analyze, "security", "--offline=true", "--threshold=25", service], tmp_path)
    assert done.returncode == 0, done.stdout


def test_the_units_run_the_job_and_restart_after_a_kill_alone():
    """An exit code never restarts the harvest: each start may spend the budget anew."""
    text = (ROOT / "examples/nightly_harvest/tmapi-nightly.service").read_text("utf-8")
    settings = dict(line.split("=", 1) for line in text.splitlines() if "=" in line[:30])
    assert settings["Restart"] == "on-abnormal"
    assert settings["ExecStart"] == "/opt/tmapi/bin/tmapi harvest --job job.toml"
    assert "SuccessExitStatus" not in settings
    assert settings["EnvironmentFile"] == "/etc/tmapi/token.env"
