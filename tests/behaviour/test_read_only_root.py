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
