"""`tmapi categories`: the category tree, as a drawing, as IDs or as JSON lines."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from tmapi_async.api.listings import parse_id
from tmapi_async.cli.completion.completed_values import complete_journals
from tmapi_async.cli.console import print_message, print_refusal
from tmapi_async.cli.exit_codes import OK, PARTIAL, USAGE
from tmapi_async.cli.options.cache_options import CacheOptions
from tmapi_async.cli.options.connection_options import ConnectionOptions
from tmapi_async.cli.options.option_structs import takes_struct
from tmapi_async.cli.options.output_options import OutputOptions
from tmapi_async.cli.options.settings_in_force import with_settings
from tmapi_async.cli.output import ReaderGoneError, RowOutput
from tmapi_async.cli.progress.progress_line import show_progress
from tmapi_async.cli.runner import handle_signal, open_client, run
from tmapi_async.cli.summary import StoppedBy, Summary, stopped_by
from tmapi_async.client.category_tree import CategoryNode, CategoryTree, CategoryWalk
from tmapi_async.client.client import TMAPI
from tmapi_async.errors import DiskError, InvalidRequestError, ListingsFailedError, TMAPIError
from tmapi_async.errors.escaping import escape_controls
from tmapi_async.errors.quantities import quantity
from tmapi_async.harvest import JournalCategories, JournalError

app = typer.Typer(add_completion=False)

FIRST_OPTIONS = ("leaves", "depth", "journal", "refresh", "json", "sandbox")
EXAMPLES = (
    "tmapi categories --depth 1",
    "tmapi categories --leaves --journal tree.journal > cats.txt",
    "tmapi categories 1031910 --json",
)

_MAX_FAILURES = 20


class CategoriesOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Options of `tmapi categories`.

    Attributes:
        cat: Category to begin with, as typed; None for the first level.
        leaves: Print only the IDs of categories without subcategories.
        depth: Number of levels below, or None for all.
        journal: Journal that stores the answers, or None.
        refresh: Request everything again.
        cache_options: Cache of pages.
        connection: Account, server and limits.
        output: Progress and summary; with `json`, the tree is printed as JSON lines too.
    """

    cat: Annotated[
        str | None,
        typer.Argument(
            metavar="CAT",
            help="Category to begin with. Default: the whole tree.",
            show_default=False,
        ),
    ] = None
    leaves: Annotated[
        bool,
        typer.Option(
            "--leaves",
            help="Print only the IDs of categories without subcategories, for tmapi harvest -.",
        ),
    ] = False
    depth: Annotated[
        int | None, typer.Option("--depth", metavar="N", help="Number of levels to show.")
    ] = None
    journal: Annotated[
        Path | None,
        typer.Option(
            "--journal",
            metavar="FILE",
            help="Store the tree in a journal, to pay for it once.",
            autocompletion=complete_journals,
        ),
    ] = None
    refresh: Annotated[
        bool, typer.Option("--refresh", help="Fetch the tree again. Needs --journal.")
    ] = False
    cache_options: CacheOptions
    connection: ConnectionOptions
    output: OutputOptions

    @property
    def root(self) -> int | None:
        """ID of the category to begin with, or None for the first level."""
        return None if self.cat is None else parse_id(self.cat)

    def check(self) -> None:
        """Check the options before anything is sent.

        Raises:
            InvalidRequestError: An option is invalid; the message names the option and the reason.
        """
        _ = self.root
        if self.depth is not None and self.depth < 1:
            raise InvalidRequestError(f"--depth must be at least 1, not {self.depth}")
        if self.refresh and self.journal is None:
            raise InvalidRequestError("--refresh fetches a stored tree again: it needs --journal")
        self.cache_options.check()
        self.connection.check()


@app.command("categories", context_settings={"ignore_unknown_options": True})
@takes_struct
def categories(context: typer.Context, options: CategoriesOptions) -> None:
    """Show the category tree."""
    options.output.set_up_logging()
    options = with_settings(context, options, "categories")
    options.output.set_up_logging()  # again, since a settings file may have changed it
    options.check()
    raise typer.Exit(run_categories(options))


def run_categories(options: CategoriesOptions) -> int:
    """Fetch and print the category tree and return the exit code."""

    async def main() -> int:
        try:
            return await _TreeCommand(options).run()
        except JournalError as error:
            print_refusal(str(error))
            return USAGE

    return run(main())


class _TreeCommand:
    """One run of the command."""

    def __init__(self, options: CategoriesOptions) -> None:
        self._options = options
        self._output = RowOutput()
        self._started = time.monotonic()
        self._walk: CategoryWalk | None = None
        self._api: TMAPI | None = None
        self._stopped_by: StoppedBy | None = None
        self._failed = 0

    async def run(self) -> int:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a running coroutine belongs to a task

        def interrupt() -> None:
            self._stopped_by = "signal"
            task.cancel()

        async with handle_signal(interrupt):
            try:
                await self._fetch()
            except asyncio.CancelledError:
                if self._stopped_by != "signal":
                    raise
            except DiskError as error:
                self._stopped_by = "disk"
                print_message(str(error))
            except ListingsFailedError as error:
                self._report_failures(error)
            except TMAPIError as error:
                if isinstance(error, InvalidRequestError) and self._walk is None:
                    raise  # the cache cannot be opened; nothing was sent
                self._stopped_by = stopped_by(error)
                self._failed = 0 if self._stopped_by else 1
                print_message(str(error))
        return await self._finish()

    async def _fetch(self) -> None:
        options = self._options
        journal = (
            nullcontext(None)
            if options.journal is None
            else JournalCategories(
                options.journal, refresh=options.refresh, host=options.connection.host
            )
        )
        with journal as cache:
            async with open_client(options.connection, options.cache_options) as self._api:
                self._walk = self._api.categories(options.root, depth=options.depth, cache=cache)
                async with (
                    self._walk,
                    show_progress(self._progress_line, shown=not options.output.quiet),
                ):
                    await self._walk

    def _report_failures(self, error: ListingsFailedError) -> None:
        self._failed = error.count
        for failure in error.errors[:_MAX_FAILURES]:
            print_message(f"failed: {failure}")
        if error.count > _MAX_FAILURES:
            print_message(f"... and {error.count - _MAX_FAILURES:,} more")

    def _progress_line(self) -> str:
        assert self._walk is not None and self._api is not None  # noqa: S101, PT018 - set before
        requests, gate = self._walk.statistics().requests, self._api.statistics()
        outage = self._api.core.session.outages.report()
        return (
            f"{f'waiting: {outage}; ' if outage else ''}"
            f"{_categories(len(self._walk.tree()))}, {quantity(requests, 'request')}, "
            f"gate {gate.in_flight}/{gate.width}, {time.monotonic() - self._started:.0f} s"
        )

    async def _finish(self) -> int:
        if self._walk is None:
            return PARTIAL
        tree, summary = self._walk.tree(), self._summary()
        code = summary.exit_code()
        if tree.repeated:
            print_message(f"{_categories(tree.repeated)} appeared twice: shown once")
        try:
            await self._print_tree(tree, complete=code == OK)
            if self._options.output.json:
                await self._output.write(f"{summary.json()}\n".encode())
        except ReaderGoneError:
            self._output.discard()
        if not self._options.output.quiet:
            self._print_summary(tree, summary)
        return code

    async def _print_tree(self, tree: CategoryTree, *, complete: bool) -> None:
        options = self._options
        if options.leaves and not complete:
            # A harvest that reads the IDs from a pipe would take them for all there are.
            print_message("the IDs are not printed, because some are missing")
            return
        nodes = tree.leaves() if options.leaves else iter(tree)
        if options.output.json:
            lines: Iterable[str] = (msgspec.json.encode(node).decode() for node in nodes)
        elif options.leaves:
            lines = (f"{node.id}  # {_names(node)}" for node in nodes)
        elif sys.stdout.isatty():
            Console().print(_draw_tree(tree), soft_wrap=True)
            return
        else:
            lines = _indented_lines(tree)
        if text := "".join(f"{line}\n" for line in lines):
            await self._output.write(text.encode())

    def _summary(self) -> Summary:
        assert self._walk is not None  # noqa: S101 - set before
        statistics, count = self._walk.statistics(), len(self._walk.tree())
        summary = Summary.from_walk(
            statistics,
            listings=statistics.listings,
            seconds=time.monotonic() - self._started,
            stopped_by=self._stopped_by,
        )
        return msgspec.structs.replace(
            summary,
            items=count,
            unique_items=count,
            failed=max(summary.failed, self._failed),
            complete=min(summary.complete, statistics.listings - self._failed),
        )

    def _print_summary(self, tree: CategoryTree, summary: Summary) -> None:
        leaves = sum(1 for _ in tree.leaves())
        hits = summary.cache_hits
        cached = f", {quantity(hits, 'page')} from the cache" if hits else ""
        print_message(
            f"{_categories(len(tree))}, {leaves:,} without subcategories; "
            f"{quantity(summary.requests, 'request')} "
            f"({quantity(summary.retries, 'retry', 'retries')}){cached} in {summary.seconds:.1f} s"
        )
        if summary.exit_code() == OK:
            return
        advice = "" if self._options.journal else "; add --journal FILE to keep the paid answers"
        if summary.stopped_by is None:
            print_message(
                f"NOT COMPLETE: the subcategories of {_categories(self._failed)} are "
                f"unknown{advice}"
            )
        else:
            print_message(f"NOT COMPLETE: run the same command again to continue{advice}")


def _categories(number: int) -> str:
    return quantity(number, "category", "categories")


def _names(node: CategoryNode) -> str:
    """Return the names of a category, with control characters escaped."""
    return escape_controls(" / ".join(name for name in (node.name, node.name_en) if name))


def _label(node: CategoryNode) -> str:
    unknown = "" if node.is_leaf or node.children is not None else "  ..."
    return f"{node.id} {_names(node)}{unknown}"


def _indented_lines(tree: CategoryTree) -> Iterator[str]:
    top = min((tree.nodes[cat_id].depth for cat_id in tree.tops), default=0)
    return (f"{'  ' * (node.depth - top)}{_label(node)}" for node in tree)


def _draw_tree(tree: CategoryTree) -> Tree:
    drawing = Tree("", hide_root=True)
    branches: dict[int | None, Tree] = {None: drawing}
    for node in tree:
        branches[node.id] = branches[node.parent].add(Text(_label(node)))
    return drawing
