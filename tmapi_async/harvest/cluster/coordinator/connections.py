"""Getting to a cluster: a client of our own, versions that fit, workers that take seats."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from distributed import Client
from distributed.versions import VersionMismatchWarning

from tmapi_async.errors import ClusterError, InvalidRequestError
from tmapi_async.harvest.cluster.worker.plugin import PYTHON, VERSION, SessionPlugin

_CONNECT = "20s"
_CLOSE = 2
SCHEDULER_TIMEOUT = 10.0
"""Seconds in which a scheduler says which workers it has; one that does not is gone."""

_PACKAGES = ("tmapi_async", "msgspec", "zstandard")
_NAMED = 3


def scheduler_address(cluster: object) -> tuple[str, Any]:
    """The scheduler's address and the security of what a caller gave.

    Raises:
        InvalidRequestError: It is neither a client nor an address.
    """
    if isinstance(cluster, str) and "://" in cluster:
        return cluster, None
    if isinstance(cluster, Client) and cluster.scheduler is not None:
        return cluster.scheduler.address, cluster.security
    raise InvalidRequestError(
        "cluster is a connected distributed.Client, or an address such as tcp://10.0.0.1:8786; "
        f"not {cluster!r}"
    )


@asynccontextmanager
async def connect_client(address: str, security: Any) -> AsyncIterator[Client]:
    """A client of ours in this event loop, whatever loop or thread the caller's lives in.

    Raises:
        ClusterError: There is no scheduler there, or its cluster cannot run this harvest.
    """
    with warnings.catch_warnings():
        # We say ourselves what does not fit, and say only what matters.
        warnings.simplefilter("ignore", VersionMismatchWarning)
        client = Client(
            address, security=security, asynchronous=True, timeout=_CONNECT, set_as_default=False
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
        await client.close(timeout=_CLOSE)


def check_versions(versions: Mapping[str, Any]) -> None:
    """Refuse a cluster whose Python or packages are others than here.

    Args:
        versions: What `Client.get_versions` tells.

    Raises:
        ClusterError: The message says where, what is there, and what is needed.
    """
    here = versions["client"]["packages"]
    wrong = []
    nodes = {"the scheduler": versions["scheduler"], **versions["workers"]}
    for name, node in nodes.items():
        found = (node or {}).get("packages") or {}
        wrong += [f"{name} has {text}" for text in _differences(here, found)]
    if wrong:
        more = f" and {len(wrong) - _NAMED} more" if len(wrong) > _NAMED else ""
        raise ClusterError(
            f"{'; '.join(wrong[:_NAMED])}{more}. Here are tmapi-async {VERSION} and Python "
            f"{PYTHON}: install the same (pip install 'tmapi-async[cluster]=={VERSION}') on the "
            "scheduler and on every worker"
        )


def _differences(here: Mapping[str, Any], there: Mapping[str, Any]) -> list[str]:
    wrong = []
    python = ".".join(str(there.get("python") or "?").split(".")[:2])
    if python != PYTHON:
        wrong.append(f"Python {python}")
    if there.get("tmapi_async") != VERSION:
        wrong.append(f"tmapi-async {there.get('tmapi_async') or 'missing'}")
    needed = [package for package in ("distributed", *_PACKAGES[1:]) if here.get(package)]
    return wrong + [f"{package} missing" for package in needed if there.get(package) is None]


async def worker_addresses(client: Client) -> set[str]:
    """The workers there are now.

    Raises:
        ClusterError: The scheduler is gone.
    """
    try:
        async with asyncio.timeout(SCHEDULER_TIMEOUT):
            identity = await client.scheduler.identity()
    except (OSError, TimeoutError):
        raise ClusterError("the scheduler is gone") from None
    return set(identity["workers"])
