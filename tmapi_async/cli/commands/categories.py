"""`tmapi categories`: the tree of categories, for people, for pipes, for programs."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path

import msgspec
from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from tmapi_async.cli import console
from tmapi_async.cli import runner as running
from tmapi_async.cli.options.connection_options import ConnectionOptions
from tmapi_async.cli.output import Output, ReaderGoneError
from tmapi_async.cli.summary import OK, PARTIAL, USAGE, StoppedBy, Summary, stopped_by
from tmapi_async.client.category_tree import CategoryNode, CategoryTree, CategoryWalk
from tmapi_async.client.client import TMAPI
from tmapi_async.errors import DiskError, ListingsFailedError, TMAPIError
from tmapi_async.harvest import JournalError
from tmapi_async.journal.category_cache import JournalCategories

_MOST_TOLD = 20


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What `tmapi categories` is asked to do.

    Attributes:
        root: Category to begin at, or None for the first level.
        depth: Levels to look below it, or None.
        leaves: Print the IDs of what has nothing below it alone.
        journal: Where answers are kept, or None.
        refresh: Ask for everything anew.
        connection: How the API is reached.
        json: Print JSON lines, and the summary as the last one.
        quiet: No progress and no summary.
    """

    root: int | None
    depth: int | None
    leaves: bool
    journal: Path | None
    refresh: bool
    connection: ConnectionOptions
    json: bool
    quiet: bool


class _Run:
    def __init__(self, job: Job) -> None:
        self._job = job
        self._output = Output()
        self._began = time.monotonic()
        self._walk: CategoryWalk | None = None
        self._api: TMAPI | None = None
        self._stopped_by: StoppedBy | None = None
        self._failed = 0

    async def __call__(self) -> int:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - a coroutine that runs is in a task

        def interrupted() -> None:
            self._stopped_by = "signal"
            task.cancel()

        async with running.on_signal(interrupted):
            try:
                await self._look()
            except asyncio.CancelledError:
                if self._stopped_by != "signal":
                    raise
            except DiskError as error:
                self._stopped_by = "disk"
                console.tell(str(error))
            except ListingsFailedError as error:
                self._tell_failures(error)
            except TMAPIError as error:
                self._stopped_by = stopped_by(error)
                self._failed = 0 if self._stopped_by else 1
                console.tell(str(error))
        return await self._close()

    async def _look(self) -> None:
        job = self._job
        cache = (
            nullcontext(None)
            if job.journal is None
            else JournalCategories(job.journal, refresh=job.refresh, host=job.connection.host)
        )
        with cache as kept:
            async with running.client(job.connection) as self._api:
                self._walk = self._api.categories(job.root, depth=job.depth, cache=kept)
                async with self._walk, console.progress(self._line, shown=not job.quiet):
                    await self._walk

    def _tell_failures(self, error: ListingsFailedError) -> None:
        self._failed = error.count
        for one in error.errors[:_MOST_TOLD]:
            console.tell(f"failed: {one}")
        if error.count > _MOST_TOLD:
            console.tell(f"... and {error.count - _MOST_TOLD:,} more")

    def _line(self) -> str:
        assert self._walk is not None and self._api is not None  # noqa: S101, PT018 - set before
        now, gate = self._walk.statistics(), self._api.statistics()
        return (
            f"{len(self._walk.tree()):,} categories, {now.requests:,} requests, "
            f"gate {gate.in_flight}/{gate.width}, {time.monotonic() - self._began:.0f} s"
        )

    async def _close(self) -> int:
        if self._walk is None:
            return PARTIAL
        tree, summary = self._walk.tree(), self._summary()
        code = summary.exit_code()
        if tree.repeated:
            console.tell(
                f"{tree.repeated:,} categories were shown in a second place: left out there"
            )
        try:
            await self._print(tree, whole=code == OK)
            if self._job.json:
                await self._output.write(f"{summary.json()}\n".encode())
        except ReaderGoneError:
            self._output.silence()
        if not self._job.quiet:
            self._tell_end(tree, summary, code)
        return code

    async def _print(self, tree: CategoryTree, *, whole: bool) -> None:
        job = self._job
        if job.leaves and not whole:
            # It is piped into a harvest, which would take it for all there is.
            console.tell("the IDs are not printed, since some are missing")
            return
        nodes = tree.leaves() if job.leaves else iter(tree)
        if job.json:
            lines: Iterable[str] = (msgspec.json.encode(node).decode() for node in nodes)
        elif job.leaves:
            lines = (f"{node.id}  # {_names(node)}" for node in nodes)
        elif sys.stdout.isatty():
            Console().print(_drawn(tree), soft_wrap=True)
            return
        else:
            lines = _indented(tree)
        if text := "".join(f"{line}\n" for line in lines):
            await self._output.write(text.encode())

    def _summary(self) -> Summary:
        assert self._walk is not None  # noqa: S101 - set before
        statistics, found = self._walk.statistics(), len(self._walk.tree())
        summary = Summary.of(
            statistics,
            listings=statistics.listings,
            seconds=time.monotonic() - self._began,
            stopped_by=self._stopped_by,
        )
        return msgspec.structs.replace(
            summary,
            items=found,
            unique_items=found,
            failed=max(summary.failed, self._failed),
            complete=min(summary.complete, statistics.listings - self._failed),
        )

    def _tell_end(self, tree: CategoryTree, summary: Summary, code: int) -> None:
        leaves = sum(1 for _ in tree.leaves())
        console.tell(
            f"{len(tree):,} categories, {leaves:,} with nothing below; "
            f"{summary.requests:,} requests ({summary.retries:,} retries) "
            f"in {summary.seconds:.1f} s"
        )
        if code == OK:
            return
        kept = "" if self._job.journal else "; with --journal FILE what was paid for is kept"
        if summary.stopped_by is None:
            console.tell(
                f"NOT COMPLETE: what is below {self._failed:,} categories is not known{kept}"
            )
        else:
            console.tell(f"NOT COMPLETE: run the same again to go on{kept}")


def _names(node: CategoryNode) -> str:
    """Its names; whatever could move a terminal's cursor is taken out."""
    names = " / ".join(name for name in (node.name, node.name_en) if name)
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in names)


def _label(node: CategoryNode) -> str:
    unknown = "" if node.is_leaf or node.children is not None else "  ..."
    return f"{node.id} {_names(node)}{unknown}"


def _indented(tree: CategoryTree) -> Iterator[str]:
    top = min((tree.nodes[one].depth for one in tree.tops), default=0)
    return (f"{'  ' * (node.depth - top)}{_label(node)}" for node in tree)


def _drawn(tree: CategoryTree) -> Tree:
    drawn = Tree("", hide_root=True)
    branches: dict[int | None, Tree] = {None: drawn}
    for node in tree:
        branches[node.id] = branches[node.parent].add(Text(_label(node)))
    return drawn


def categories(job: Job) -> int:
    """Look at the tree; returns the exit code."""

    async def main() -> int:
        try:
            return await _Run(job)()
        except JournalError as error:
            console.tell(str(error))
            return USAGE

    return running.run(main())
