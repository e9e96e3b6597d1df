"""`tmapi runs`: the cost of each run of a journal in requests, by endpoint and category."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import msgspec
import typer

from tmapi_async.cli.console import (
    print_json,
    print_output,
    print_refusal,
    require_output,
    set_up_logging,
    terminal_width,
)
from tmapi_async.cli.exit_codes import OK, USAGE
from tmapi_async.cli.options.option_structs import takes_struct
from tmapi_async.cli.options.output_options import JournalArgument
from tmapi_async.cli.tables import format_duration, format_table, format_time
from tmapi_async.errors import InvalidRequestError, JournalError
from tmapi_async.errors.quantities import quantity
from tmapi_async.errors.run_numbers import missing_run
from tmapi_async.journal.reader import JournalReader
from tmapi_async.journal.summaries.costs import KeyCost, RunCost

app = typer.Typer(add_completion=False)

EXAMPLES = (
    "tmapi runs shop.journal",
    "tmapi runs shop.journal --run 1 --all",
    "tmapi runs shop.journal --json",
)

MAX_KEYS = 40
"""Rows by endpoint and category that are shown unless all of them are asked for."""

_RUN_HEADINGS = (
    ">run", "started", ">starts", ">took", ">requests", ">wasted", ">retries", ">pages", ">items",
    ">items/request",
)  # fmt: skip
_KEY_HEADINGS = (
    "endpoint", "category", ">listings", ">requests", ">retries", ">pages", ">items",
    ">items/request",
)  # fmt: skip


class RunsOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Options of `tmapi runs`.

    Attributes:
        journal: Journal to read.
        run: Run whose categories are shown, or None for the latest.
        every: Show every category.
        json: Print the result as JSON, and nothing else.
    """

    journal: JournalArgument
    run: Annotated[
        int | None,
        typer.Option(
            "--run", metavar="N", help="Run whose categories are shown. Default: the latest."
        ),
    ] = None
    every: Annotated[
        bool,
        typer.Option("--all", help=f"Show every category, and not only the {MAX_KEYS} dearest."),
    ] = False
    json: Annotated[
        bool,
        typer.Option("--json", help="Print only the costs of all runs, as one JSON object."),
    ] = False


@app.command("runs")
@takes_struct
def runs(options: RunsOptions) -> None:
    """Show the cost of each run in requests, by endpoint and category.

    Every request may be billed: retries and pages past the end are counted, too.
    It also works while a harvest writes to the journal.
    """
    set_up_logging()
    require_output()
    raise typer.Exit(run_runs(options))


def run_runs(options: RunsOptions) -> int:
    """Print the costs of the runs of a journal and return the exit code."""
    try:
        with JournalReader(options.journal) as journal:
            costs = journal.costs()
            tree = journal.tree()
        chosen = _chosen(costs, options)
    except (JournalError, InvalidRequestError) as error:
        print_refusal(str(error))
        return USAGE
    answers = tree.answers if tree else 0
    if options.json:
        print_json(_as_json(options, costs, answers))
        return OK
    for line in _lines(options, costs, chosen, answers):
        print_output(line)
    return OK


def _chosen(costs: Sequence[RunCost], options: RunsOptions) -> RunCost | None:
    if options.run is None:
        return costs[-1] if costs else None
    for cost in costs:
        if cost.run == options.run:
            return cost
    runs = [cost.run for cost in costs]
    raise InvalidRequestError(missing_run(options.journal, options.run, runs))


def _as_json(options: RunsOptions, costs: Sequence[RunCost], answers: int) -> str:
    summary = {
        "journal": str(options.journal),
        "requests": sum(cost.requests for cost in costs),
        "category_answers": answers,
        "runs": [_with_ratio(cost) for cost in costs],
    }
    return msgspec.json.encode(summary).decode()


def _with_ratio(cost: RunCost | KeyCost) -> dict[str, Any]:
    fields = msgspec.structs.asdict(cost)
    if isinstance(cost, RunCost):
        fields["without_page"] = cost.without_page
        fields["keys"] = [_with_ratio(key) for key in cost.keys]
    return {**fields, "items_per_request": round(cost.items_per_request, 2)}


def _lines(
    options: RunsOptions, costs: Sequence[RunCost], chosen: RunCost | None, answers: int
) -> Iterator[str]:
    total = sum(cost.requests for cost in costs)
    yield f"{options.journal}: {quantity(len(costs), 'run')}, {quantity(total, 'request')}"
    if answers:
        yield f"the category tree: {quantity(answers, 'more request')} at least, one an answer"
    if chosen is None:
        return
    width = terminal_width(sys.stdout)
    yield ""
    yield from format_table(_RUN_HEADINGS, [_run_row(cost) for cost in costs], width)
    yield ""
    if chosen.keys:
        yield from _key_lines(chosen, width, every=options.every)
    else:
        yield f"Run {chosen.run}: no page is stored yet"
    if chosen.without_page:
        yield (
            f"{quantity(chosen.without_page, 'request')} without a page in the journal: pages past "
            "the end, look-ahead that was given up, failures that were mended, and comparisons "
            "with earlier starts"
        )


def _key_lines(chosen: RunCost, width: int | None, *, every: bool) -> Iterator[str]:
    yield f"Run {chosen.run}, by endpoint and category, keyword or shop:"
    keys = sorted(chosen.keys, key=lambda key: -key.requests)
    shown = keys if every else keys[:MAX_KEYS]
    yield from format_table(_KEY_HEADINGS, [_key_row(key) for key in shown], width)
    if len(shown) < len(keys):
        yield f"... and {len(keys) - len(shown):,} more: to see all, add --all"


def _run_row(cost: RunCost) -> tuple[object, ...]:
    return (
        cost.run,
        format_time(cost.started_at),
        cost.starts,
        format_duration(cost.seconds),
        cost.requests,
        cost.wasted,
        cost.retries,
        cost.pages,
        cost.items,
        f"{cost.items_per_request:.1f}",
    )


def _key_row(cost: KeyCost) -> tuple[object, ...]:
    return (
        cost.endpoint,
        cost.key,
        cost.listings,
        cost.requests,
        cost.retries,
        cost.pages,
        cost.items,
        f"{cost.items_per_request:.1f}",
    )
