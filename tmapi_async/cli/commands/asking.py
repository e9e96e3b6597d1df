"""The commands that ask the API: their options. What they do is in a module of their own each."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec
import typer

from tmapi_async.api.listings import parse_id
from tmapi_async.cli import console
from tmapi_async.cli.app import app
from tmapi_async.cli.options import cluster_options as clustering
from tmapi_async.cli.options import connection_options as options
from tmapi_async.cli.options.listing_options import FILTERS, ListingOptions, ListingSet
from tmapi_async.cli.options.split_options import SplitOptions
from tmapi_async.errors import InvalidRequestError

S = TypeVar("S", bound=msgspec.Struct)

_NUMBER = (int, float)
_IN_JOB_FILES: dict[str, Any] = {
    "max_pages": int,
    "max_requests": int,
    "concurrency": (int, str),
    "rate": _NUMBER,
    "timeout": _NUMBER,
    "lookahead": (int, str),
    "auth": str,
    "base_url": str,
    "token_file": str,
    "split": bool,
    "ceiling": int,
}
"""Options that a job file may set for every command, with the types of their values."""


class Streaming(msgspec.Struct, frozen=True, kw_only=True):
    """Options of `tmapi items` alone."""

    unique: Annotated[
        bool, typer.Option("--unique", help="Drop items that their listing has shown before.")
    ] = False


class Keeping(msgspec.Struct, frozen=True, kw_only=True):
    """Options of `tmapi harvest` alone."""

    journal: Annotated[
        Path | None,
        typer.Option(
            "--journal",
            metavar="FILE",
            help="Where every page is kept; made if there is none; needed.",
            show_default=False,
        ),
    ] = None
    to: Annotated[
        list[str] | None,
        typer.Option(
            "--to",
            metavar="DEST",
            help="Export the run when it has ended, as tmapi export does; may be repeated.",
        ),
    ] = None
    refresh: Annotated[
        bool,
        typer.Option(
            "--refresh",
            help="Go on with an unfinished run; start a new one, keeping the old, if all is done.",
        ),
    ] = False
    most_rejects: Annotated[
        float,
        typer.Option(
            "--most-rejects",
            metavar="SHARE",
            help="Share of a page's rows that may be undecodable before its listing fails.",
        ),
    ] = 0.5


class Looking(msgspec.Struct, frozen=True, kw_only=True):
    """Options of `tmapi categories` alone."""

    cat: Annotated[
        str | None,
        typer.Argument(
            metavar="[CAT]", help="Category to begin at; all if left out.", show_default=False
        ),
    ] = None
    leaves: Annotated[
        bool,
        typer.Option("--leaves", help="Only the IDs that have nothing below, for `harvest -`."),
    ] = False
    depth: Annotated[
        int | None, typer.Option("--depth", metavar="N", help="Levels to look below it.")
    ] = None
    journal: Annotated[
        Path | None,
        typer.Option(
            "--journal", metavar="FILE", help="Keep the tree in a journal: it is paid for once."
        ),
    ] = None
    refresh: Annotated[bool, typer.Option("--refresh", help="Ask for all of it anew.")] = False


# An ID below 0 looks like an option; `read_ids` tells the two apart.
@app.command("items", context_settings={"ignore_unknown_options": True})
@options.takes
def _items(
    *,
    context: typer.Context,
    asked: ListingOptions,
    streaming: Streaming,
    dividing: SplitOptions,
    connection: options.ConnectionOptions,
    telling: options.Telling,
) -> None:
    """Stream every item of the categories as JSON lines to standard output.

    Keeps no state: for long jobs that must survive an interruption, use harvest.
    """
    from .items import Job, items  # noqa: PLC0415 - --help need not load it

    console.set_up(telling.verbose)
    given = _Given(context, asked, {"unique": bool})
    asked, streaming = given.fill(asked), given.fill(streaming)
    connection, dividing = given.fill(connection), given.fill(dividing)
    asked.check()
    dividing.check(max_pages=asked.max_pages)
    connection.check()
    job = Job(
        wanted=dividing.checked(given.wanted(quiet=telling.quiet)),
        max_pages=asked.max_pages,
        unique=streaming.unique,
        dividing=dividing,
        connection=connection,
        json=telling.json,
        quiet=telling.quiet,
    )
    raise typer.Exit(items(job))


@app.command("categories", context_settings={"ignore_unknown_options": True})
@options.takes
def _categories(
    *,
    looking: Looking,
    connection: options.ConnectionOptions,
    telling: options.Telling,
) -> None:
    """Show the tree of categories."""
    from .categories import Job, categories  # noqa: PLC0415 - --help need not load it

    console.set_up(telling.verbose)
    root = None if looking.cat is None else parse_id(looking.cat)
    if looking.depth is not None and looking.depth < 1:
        raise InvalidRequestError(f"--depth must be at least 1, not {looking.depth}")
    if looking.refresh and looking.journal is None:
        raise InvalidRequestError("--refresh is for what a journal keeps: it needs --journal")
    connection.check()
    job = Job(
        root=root,
        depth=looking.depth,
        leaves=looking.leaves,
        journal=looking.journal,
        refresh=looking.refresh,
        connection=connection,
        json=telling.json,
        quiet=telling.quiet,
    )
    raise typer.Exit(categories(job))


@app.command("harvest", context_settings={"ignore_unknown_options": True})
@options.takes
def _harvest(
    *,
    context: typer.Context,
    asked: ListingOptions,
    keeping: Keeping,
    dividing: SplitOptions,
    connection: options.ConnectionOptions,
    clusters: clustering.ClusterOptions,
    telling: options.Telling,
) -> None:
    """Walk the categories into a journal that no interruption can hurt.

    The same command again goes on where the journal stands; when all is complete it sends nothing.
    """
    from .harvest import Job, harvest  # noqa: PLC0415 - --help need not load it

    console.set_up(telling.verbose)
    given = _Given(
        context, asked, {"journal": str, "to": list, "refresh": bool, "most_rejects": _NUMBER}
    )
    asked, keeping = given.fill(asked), given.fill(keeping)
    connection = given.fill(connection)
    asked.check()
    connection.check(several=True)
    clusters, dividing = given.fill(clusters), given.fill(dividing)
    clusters.check()
    dividing.check(max_pages=asked.max_pages)
    if dividing.split and clusters.wanted:
        raise InvalidRequestError("--split works in this process: leave out --cluster, --workers")
    if keeping.journal is None:
        raise InvalidRequestError("harvest needs --journal FILE, where every page is kept")
    if not 0 <= keeping.most_rejects <= 1:
        raise InvalidRequestError(
            f"--most-rejects is a share from 0 to 1, not {keeping.most_rejects:g}"
        )
    job = Job(
        wanted=dividing.checked(given.wanted(quiet=telling.quiet)),
        journal=keeping.journal,
        refresh=keeping.refresh,
        max_pages=asked.max_pages,
        most_rejects=keeping.most_rejects,
        dividing=dividing,
        to=keeping.to or [],
        connection=connection,
        json=telling.json,
        quiet=telling.quiet,
        arguments=sys.argv[1:],
        clustering=clusters,
    )
    raise typer.Exit(harvest(job))


class _Given:
    """What a command was given: by its options, or by a job file that those win over."""

    def __init__(
        self, context: typer.Context, asked: ListingOptions, more: Mapping[str, Any]
    ) -> None:
        self._context = context
        self._asked = asked
        self._options: dict[str, Any] = {}
        if asked.job is None:
            self._groups = [asked.group(sys.stdin.buffer)]
            return
        from tmapi_async.cli.options.job_file import read_job  # noqa: PLC0415 - only where there is one

        for name in ("cats", "keyword", "shop", "endpoint", *FILTERS):
            if self._typed(name):
                raise InvalidRequestError(
                    f"the job file says what is walked: leave out {_shown(name)}"
                )
        job = read_job(asked.job, {**_IN_JOB_FILES, **more})
        self._groups, self._options = job.groups, job.options
        self._resolve(asked.job.parent)

    def _typed(self, name: str) -> bool:
        source = self._context.get_parameter_source(name)
        return source is not None and source.name == "COMMANDLINE"

    def _resolve(self, folder: Path) -> None:
        """A job is often run from elsewhere: its paths count from its own folder."""
        found = self._options
        for name in ("journal", "token_file"):
            if name in found:
                found[name] = folder / found[name]
        for name in ("concurrency", "lookahead"):
            if name in found:
                found[name] = str(found[name])
        if "to" in found:
            found["to"] = [
                str(one) if one == "-" or "://" in str(one) else str(folder / str(one))
                for one in found["to"]
            ]

    def fill(self, struct: S) -> S:
        """The struct with what the job file says and was not typed."""
        told = {
            name: value
            for name, value in self._options.items()
            if name in struct.__struct_fields__ and not self._typed(name)
        }
        return msgspec.structs.replace(struct, **told)

    def wanted(self, *, quiet: bool) -> ListingSet:
        """The listings."""
        found = ListingSet(self._groups)
        if found.repeated and not quiet:
            console.tell(f"{found.repeated} repeated {_what(self._asked)} left out: "
                         "each is walked once")  # fmt: skip
        return found


def _shown(name: str) -> str:
    return "CAT" if name == "cats" else f"--{name.replace('_', '-')}"


def _what(asked: ListingOptions) -> str:
    return "IDs are" if asked.cats else "listings are"


@app.command(
    "sandbox",
    add_help_option=False,
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
)
def _sandbox(context: typer.Context) -> None:
    """Serve a sandbox that behaves as the API does, faults included; prints its URL first."""
    from tmapi_async.sandbox.__main__ import main as serve  # noqa: PLC0415 - only where it is used

    raise typer.Exit(serve(context.args))
