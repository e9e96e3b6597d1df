"""Real gateways and proxies in front of a server: nginx, HAProxy and tinyproxy.

Each runs as one process with its configuration in a folder of the test, and is ended by its
process ID.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_START_SECONDS = 10


def find(name: str) -> str:
    """Return the path of a gateway's program; skip the test where it is not installed.

    `make test` says in TMAPI_TEST_GATEWAYS if the programs that CI installs are here.
    """
    path = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if path is None:
        if os.environ.get("TMAPI_TEST_GATEWAYS") == "absent":
            pytest.skip(f"no {name} here: apt-get install {name}")
        pytest.fail(f"this test needs {name}: `sh scripts/have gateways --install`")
    return path


def free_port() -> int:
    """Return a port of 127.0.0.1 that nothing listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
    return port


@contextmanager
def run(command: Sequence[str], port: int, folder: Path) -> Iterator[str]:
    """Run a server until the block is left. Yields its URL once its port answers."""
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(list(command), stdout=log, stderr=log, cwd=folder) as process,  # noqa: S603 - our own commands
    ):
        try:
            _wait_for(port, process, folder / "log")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    pytest.fail(f"{process.args!r} did not start: {log.read_text(errors='replace')[-2000:]}")


_NGINX = """\
daemon off; worker_processes 1; pid nginx.pid; error_log stderr crit;
events {{ worker_connections 512; }}
http {{
  access_log off; client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi; scgi_temp_path scgi;
  upstream origin {{ server {origin}; keepalive 64; }}
  {http}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://origin; proxy_http_version 1.1; proxy_set_header Connection "";
      {location}
    }}
    location @bare {{
      default_type application/json;
      return {status} '{{"message":"API rate limit exceeded"}}';
    }}
  }}
}}
"""


@contextmanager
def nginx(origin: str, *, http: str = "", location: str = "", status: int = 429) -> Iterator[str]:
    """Run nginx in front of `origin`. Yields its URL.

    Args:
        origin: Base URL of the server behind.
        http: Directives for the block `http`.
        location: Directives for the location that passes requests on.
        status: Status of the location `@bare`, which answers in the way of Kong.
    """
    program = find("nginx")
    with _folder() as folder:
        port = free_port()
        config = folder / "nginx.conf"
        config.write_text(
            _NGINX.format(
                origin=urlsplit(origin).netloc,
                port=port,
                http=http,
                location=location,
                status=status,
            )
        )
        with run([program, "-p", f"{folder}/", "-c", str(config)], port, folder) as url:
            yield url


_HAPROXY = """\
global
  maxconn 1000
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  timeout queue 50ms
{sections}
frontend gateway
  bind 127.0.0.1:{port}
  {frontend}
  default_backend origin
backend origin
  {backend}
  server origin {origin} {server}
"""


@contextmanager
def haproxy(
    origin: str,
    *,
    sections: str = "",
    frontend: str = "",
    backend: str = "",
    server: str = "",
) -> Iterator[str]:
    """Run HAProxy in front of `origin`, with lines for its sections. Yields its URL."""
    program = find("haproxy")
    with _folder() as folder:
        port = free_port()
        config = folder / "haproxy.cfg"
        config.write_text(
            _HAPROXY.format(
                sections=sections,
                port=port,
                frontend=frontend,
                backend=backend,
                origin=urlsplit(origin).netloc,
                server=server,
            )
        )
        with run([program, "-db", "-f", str(config)], port, folder) as url:
            yield url


@contextmanager
def tinyproxy() -> Iterator[str]:
    """Run tinyproxy, which closes idle connections without a word. Yields its URL."""
    program = find("tinyproxy")
    with _folder() as folder:
        port = free_port()
        config = folder / "tinyproxy.conf"
        config.write_text(
            f"Port {port}\nListen 127.0.0.1\nTimeout 1\nMaxClients 100\nAllow 127.0.0.1\n"
        )
        with run([program, "-d", "-c", str(config)], port, folder) as url:
            yield url


@contextmanager
def _folder() -> Iterator[Path]:
    # Workers run as another user, who may not enter the folder of a test.
    with tempfile.TemporaryDirectory(prefix="gateway.") as name:
        folder = Path(name)
        folder.chmod(0o777)
        yield folder
