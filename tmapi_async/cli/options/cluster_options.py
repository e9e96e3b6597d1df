"""Options of `tmapi harvest` that let the workers of a Dask cluster send the requests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from typing import Annotated, TypeAlias

import msgspec
import typer

from tmapi_async.cli.console import silence_logger
from tmapi_async.errors import InvalidRequestError
from tmapi_async.errors.extras import install_command
from tmapi_async.errors.shown_value import show_value
from tmapi_async.harvest import TokenSource

_PANEL = "Many machines"

ClusterOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--cluster",
        help="Address of a Dask scheduler, such as tcp://10.0.0.1:8786. Its workers send the"
        " requests; this process writes the journal.",
        rich_help_panel=_PANEL,
        metavar="ADDRESS",
    ),
]
WorkersOption: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--workers",
        help="Start N worker processes on this machine for this command; they send the requests.",
        rich_help_panel=_PANEL,
        metavar="N",
    ),
]
WorkerTokenOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--worker-token",
        help="Let each worker read the token itself, from env:NAME or file:PATH. By default this"
        " process sends the token to the workers.",
        rich_help_panel=_PANEL,
        metavar="SOURCE",
    ),
]


class ClusterOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The processes that send the requests.

    Attributes:
        cluster: Address of a scheduler, or None.
        workers: Number of worker processes to start here, or None.
        worker_token: Source of the token on each worker, or None to send the token.
    """

    cluster: ClusterOption = None
    workers: WorkersOption = None
    worker_token: WorkerTokenOption = None

    def check(self) -> None:
        """Check the options before anything is sent or started.

        Raises:
            InvalidRequestError: An option is invalid; the message names the option and the reason.
        """
        if self.cluster is not None and self.workers is not None:
            raise InvalidRequestError("--workers starts its own cluster: remove --cluster")
        if self.workers is not None and self.workers < 1:
            raise InvalidRequestError(f"--workers must be at least 1, not {self.workers}")
        if self.cluster is not None and "://" not in self.cluster:
            raise InvalidRequestError(
                f"--cluster must be an address such as tcp://10.0.0.1:8786, "
                f"not {show_value(self.cluster)}"
            )
        if self.worker_token is not None and not self.enabled:
            raise InvalidRequestError("--worker-token needs --cluster or --workers")
        self.token_source()
        if self.enabled and find_spec("distributed") is None:
            raise InvalidRequestError(
                "--cluster and --workers need a package that is not installed: "
                f"run {install_command('cluster')}"
            )

    @property
    def enabled(self) -> bool:
        """True if workers send the requests."""
        return self.cluster is not None or self.workers is not None

    def token_source(self) -> TokenSource | None:
        """Return the source of the token on each worker, or None to send the token.

        Raises:
            InvalidRequestError: `worker_token` names no such source.
        """
        return None if self.worker_token is None else TokenSource.parse(self.worker_token)

    @asynccontextmanager
    async def scheduler(self) -> AsyncIterator[str | None]:
        """Yield the scheduler's address, or None if this process sends the requests.

        Workers that were started here end with the block.
        """
        if self.workers is None:
            yield self.cluster
            return
        from tmapi_async.harvest.cluster.local import local_workers  # noqa: PLC0415 - an extra, slow to import

        silence_logger("distributed")
        async with local_workers(self.workers) as address:
            yield address
