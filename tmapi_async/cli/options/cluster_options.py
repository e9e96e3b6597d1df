"""The options of `tmapi harvest` that hand the asking to a Dask cluster."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from typing import Annotated, TypeAlias

import msgspec
import typer

from tmapi_async.cli import console
from tmapi_async.errors import InvalidRequestError
from tmapi_async.harvest.cluster.token_source import TokenSource

_PANEL = "Many machines"

ClusterOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--cluster",
        help="Scheduler of a Dask cluster, such as tcp://10.0.0.1:8786: its workers ask, and this"
        " process keeps the journal.",
        rich_help_panel=_PANEL,
        metavar="ADDRESS",
    ),
]
WorkersOption: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--workers",
        help="The same with N worker processes on this machine, started for this command.",
        rich_help_panel=_PANEL,
        metavar="N",
    ),
]
WorkerTokenOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--worker-token",
        help="Where the workers find the token, so that it is not sent to them: env:NAME or"
        " file:PATH, on each worker.",
        rich_help_panel=_PANEL,
        metavar="PLACE",
    ),
]


class ClusterOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Who asks.

    Attributes:
        cluster: Address of a scheduler, or None.
        workers: Worker processes to start here, or None.
        worker_token: Where workers find the token, or None to send it.
    """

    cluster: ClusterOption = None
    workers: WorkersOption = None
    worker_token: WorkerTokenOption = None

    def check(self) -> None:
        """Refuse what makes no sense, before anything is sent or started.

        Raises:
            InvalidRequestError: The message says which and why.
        """
        if self.cluster is not None and self.workers is not None:
            raise InvalidRequestError("--workers starts a cluster of its own: leave out --cluster")
        if self.workers is not None and self.workers < 1:
            raise InvalidRequestError(f"--workers must be at least 1, not {self.workers}")
        if self.cluster is not None and "://" not in self.cluster:
            raise InvalidRequestError(
                f"--cluster is an address such as tcp://10.0.0.1:8786, not {self.cluster!r}"
            )
        if self.worker_token is not None and self.cluster is None and self.workers is None:
            raise InvalidRequestError("--worker-token needs --cluster or --workers")
        self.place()
        if self.wanted and find_spec("distributed") is None:
            raise InvalidRequestError(
                "--cluster and --workers need a package that is not installed: "
                'pip install "tmapi-async[cluster]"'
            )

    @property
    def wanted(self) -> bool:
        """Whether a cluster is to ask."""
        return self.cluster is not None or self.workers is not None

    def place(self) -> TokenSource | None:
        """Where workers find the token, or None.

        Raises:
            InvalidRequestError: It is no such place.
        """
        return None if self.worker_token is None else TokenSource.parse(self.worker_token)

    @asynccontextmanager
    async def address(self) -> AsyncIterator[str | None]:
        """The scheduler's address; None if this process asks. Ends what it started."""
        if self.workers is None:
            yield self.cluster
            return
        from tmapi_async.harvest.cluster.local import local_workers  # noqa: PLC0415 - an extra, slow to import

        console.quieten("distributed")
        async with local_workers(self.workers) as address:
            yield address
