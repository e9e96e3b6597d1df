"""A temporary Postgres server, made by initdb, that listens on a socket in its own folder."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

_OPTIONS = "-c fsync=off -c listen_addresses= -c max_connections=20 -c shared_buffers=16MB"


def _program(name: str) -> str:
    # Debian keeps the server's programs out of PATH.
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    path = os.pathsep.join([*map(str, places), os.environ.get("PATH", "")])
    found = shutil.which(name, path=path)
    if found is None:
        pytest.fail(
            f"these tests need a Postgres server ({name}): `sh scripts/have postgres --install`"
        )
    return found


def _user() -> str | None:
    """Return the user that runs the server: initdb refuses root."""
    if os.geteuid() != 0:
        return None
    known = {user.pw_name for user in pwd.getpwall()}
    return "postgres" if "postgres" in known else "nobody"


@contextmanager
def server() -> Iterator[str]:
    """Run a server. Yields the URL of its database for `tester`, whose password is `s3cret/+`."""
    user = _user()
    folder = Path(tempfile.mkdtemp(prefix="pg."))  # a socket's path must be short
    try:
        if user is not None:
            shutil.chown(folder, user)
        data, log = folder / "data", folder / "log"

        def run(name: str, *arguments: str) -> None:
            command = [_program(name), *arguments]
            subprocess.run(  # noqa: S603 - our own commands
                command, check=True, user=user, cwd=folder, stdout=subprocess.DEVNULL, timeout=60
            )

        run("initdb", "-D", str(data), "-U", "admin", "-A", "trust", "-E", "UTF8", "--no-sync")
        options = f"{_OPTIONS} -k {folder}"
        run("pg_ctl", "-D", str(data), "-l", str(log), "-o", options, "-w", "start")
        try:
            admin = f"postgresql://admin@/postgres?host={folder}"
            with psycopg.connect(admin, autocommit=True) as connection:
                connection.execute("CREATE ROLE tester LOGIN PASSWORD 's3cret/+'")
                connection.execute("CREATE DATABASE shop OWNER tester")
            yield f"postgresql://tester:s3cret%2F%2B@/shop?host={folder}"
        finally:
            run("pg_ctl", "-D", str(data), "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
