"""Connection to a cluster: a client of our own, matching versions, and the worker plugin."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from distributed import Client
from distributed.versions import VersionMismatchWarning

from tmapi_async.errors import ClusterError, InvalidRequestError
from tmapi_async.errors.shown_value import show_value
from tmapi_async.harvest.cluster.worker.plugin import PYTHON, VERSION, SessionPlugin

CONNECT_TIMEOUT = "20s"
SCHEDULER_TIMEOUT = 10.0
"""Seconds to wait for the scheduler's list of workers; a scheduler that needs longer is gone."""

_CLOSE_TIMEOUT = 2
_PACKAGES = ("tmapi_async", "msgspec", "zstandard")
_MAX_NAMED = 3


def scheduler_address(cluster: object) -> tuple[str, Any]:
    """Return the scheduler's address and the security options of a caller's cluster.

    Raises:
        InvalidRequestError: The argument is neither a connected client nor an address.
    """
    if isinstance(cluster, str) and "://" in cluster:
        return cluster, None
    if isinstance(cluster, Client) and cluster.scheduler is not None:
        return cluster.scheduler.address, cluster.security
    raise InvalidRequestError(
        "cluster is a connected distributed.Client, or an address such as tcp://10.0.0.1:8786; "
        f"not {show_value(cluster)}"
    )


@asynccontextmanager
async def connect_client(address: str, security: Any) -> AsyncIterator[Client]:
    """Open a client of our own in this event loop, and install the plugin on every worker.

    The caller's client may live in another loop or thread, so it is not used.

    Raises:
        ClusterError: There is no scheduler at the address, or its cluster cannot run this harvest.
    """
    with warnings.catch_warnings():
        # `check_versions` reports what does not match, and only what matters.
        warnings.simplefilter("ignore", VersionMismatchWarning)
        client = Client(
            address,
            security=security,
            asynchronous=True,
            timeout=CONNECT_TIMEOUT,
            set_as_default=False,
        )
        try:
            await client
        except OSError:
            raise ClusterError(f"no Dask scheduler answers at {address}") from None
    try:
        check_versions(await client.get_versions(packages=_PACKAGES))
        await client.register_plugin(SessionPlugin())
        yield client
    finally:
        await client.close(timeout=_CLOSE_TIMEOUT)


def check_versions(versions: Mapping[str, Any]) -> None:
    """Refuse a cluster whose Python or packages differ from those here.

    Args:
        versions: Result of `Client.get_versions`.

    Raises:
        ClusterError: The message names the machine, the version there, and the version needed.
    """
    here = versions["client"]["packages"]
    problems = []
    nodes = {"the scheduler": versions["scheduler"], **versions["workers"]}
    for name, node in nodes.items():
        packages = (node or {}).get("packages") or {}
        problems += [f"{name} has {text}" for text in _differences(here, packages)]
    if problems:
        count = len(problems) - _MAX_NAMED
        more = f" and {count} more" if count > 0 else ""
        raise ClusterError(
            f"{'; '.join(problems[:_MAX_NAMED])}{more}. Here are tmapi-async {VERSION} and Python "
            f"{PYTHON}: install the same versions on the scheduler and on every worker"
        )


def _differences(here: Mapping[str, Any], there: Mapping[str, Any]) -> list[str]:
    differences = []
    python = ".".join(str(there.get("python") or "?").split(".")[:2])
    if python != PYTHON:
        differences.append(f"Python {python}")
    if there.get("tmapi_async") != VERSION:
        differences.append(f"tmapi-async {there.get('tmapi_async') or 'missing'}")
    needed = [package for package in ("distributed", *_PACKAGES[1:]) if here.get(package)]
    return differences + [f"{package} missing" for package in needed if there.get(package) is None]


async def worker_addresses(client: Client) -> set[str]:
    """Return the addresses of the workers that the scheduler has now.

    Raises:
        ClusterError: The scheduler is gone.
    """
    try:
        async with asyncio.timeout(SCHEDULER_TIMEOUT):
            identity = await client.scheduler.identity()
    except (OSError, TimeoutError):
        raise ClusterError("the scheduler is gone") from None
    return set(identity["workers"])
