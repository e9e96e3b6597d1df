"""A container with a read-only root: one writable volume is enough."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

from tests.support.commands import TMAPI, environment
from tmapi_async.sandbox.server.process import SandboxThread

READ_ONLY = """
set -e
mount -t tmpfs none /mnt
for folder in /tmp /var/tmp; do
    mount --bind "$folder" "$folder"
    mount -o remount,bind,ro "$folder"
done
mount --bind / /
mount -o remount,bind,ro /
cd /
"$@" 7 --journal /mnt/j && "$@" 7 --journal /mnt/j --refresh --to /mnt/x.csv
"""


NAMELESS = """
set -e
mount -t tmpfs none /mnt
for folder in /tmp /var/tmp; do
    mount --bind "$folder" "$folder"
    mount -o remount,bind,ro "$folder"
done
mount -o remount,bind,ro /
cd /mnt
tmapi() {
    unshare --user --map-user=10001 --map-group=10001 env -u HOME -u XDG_CACHE_HOME "$@"
}
export TMAPI_CACHE_DIR= TMAPI_RUNTIME_DIR=
tmapi "$@" harvest 7 --journal j --to x.xlsx --to x.duckdb -q
tmapi "$@" report j -o r.html -q
tmapi "$@" check --journal j --to x.parquet
"""


def _may_mount():
    if sys.platform != "linux" or shutil.which("unshare") is None or os.getuid() != 0:
        return False
    return subprocess.run(["unshare", "-m", "true"], check=False).returncode == 0  # noqa: S607


@pytest.mark.slow
@pytest.mark.skipif(not _may_mount(), reason="only root may mount a read-only root")
@pytest.mark.parametrize("workers", [(), ("--workers", "1")])
def test_a_harvest_needs_one_writable_folder(workers):
    """Temporary files, locks and workers' folders go beside the journal."""
    with SandboxThread(categories={7: 60}) as sandbox:
        variables = environment(sandbox.url)
        for name in ("TMPDIR", "TEMP", "TMP", "SQLITE_TMPDIR", "XDG_RUNTIME_DIR"):
            variables.pop(name, None)
        command = ["unshare", "-m", "sh", "-c", READ_ONLY, "sh"]
        done = subprocess.run(  # noqa: S603 - our own command
            [*command, *TMAPI, "harvest", *workers],
            env=variables,
            capture_output=True,
            text=True,
            check=False,
        )
    if "mount:" in done.stderr:
        pytest.skip(f"this machine mounts nothing: {done.stderr}")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("\ntmapi: COMPLETE") == 2


@pytest.mark.slow
@pytest.mark.skipif(not _may_mount(), reason="only root may mount a read-only root")
def test_a_user_without_a_name_needs_no_home():
    """A container often has a number for a user: no home folder, no name, no folder to write to."""
    with SandboxThread(categories={7: 60}) as sandbox:
        variables = environment(sandbox.url)
        for name in ("TMPDIR", "TEMP", "TMP", "SQLITE_TMPDIR", "XDG_RUNTIME_DIR"):
            variables.pop(name, None)
        done = subprocess.run(  # noqa: S603 - our own command
            ["unshare", "-m", "sh", "-c", NAMELESS, "sh", *TMAPI],  # noqa: S607
            env=variables,
            capture_output=True,
            text=True,
            check=False,
        )
    if "mount:" in done.stderr or "unshare:" in done.stderr:
        pytest.skip(f"this machine has no such rights: {done.stderr}")
    assert done.returncode == 0, done.stderr
    assert "unexpected" not in done.stderr
    assert "this user has no home folder" in done.stdout
    assert "READY" in done.stdout
