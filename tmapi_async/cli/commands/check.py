"""`tmapi check`: token, host, balance, proxy, limit, disk and destinations, before work."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from tmapi_async.api.endpoints import BY_SHORT_NAME
from tmapi_async.cli.checks.account_checks import (
    check_account,
    check_limit,
    check_sharing,
    check_token_place,
    single_request_options,
)
from tmapi_async.cli.checks.finding import Finding
from tmapi_async.cli.checks.host_checks import check_host
from tmapi_async.cli.checks.place_checks import check_destination, check_journal
from tmapi_async.cli.completion.completed_values import complete_journals, complete_words
from tmapi_async.cli.console import print_json, print_message, print_output
from tmapi_async.cli.exit_codes import OK, PARTIAL, REFUSED
from tmapi_async.cli.options.connection_options import SeveralAccountsOptions
from tmapi_async.cli.options.listing_options import find_endpoint
from tmapi_async.cli.options.option_structs import takes_struct
from tmapi_async.cli.options.output_options import OutputOptions
from tmapi_async.cli.options.settings_in_force import with_settings
from tmapi_async.cli.runner import open_clients, run
from tmapi_async.errors.quantities import quantity

app = typer.Typer(add_completion=False)

FIRST_OPTIONS = ("journal", "to", "free", "token_file", "base_url", "json")
EXAMPLES = (
    "tmapi check",
    "tmapi check --free --journal shop.journal --to items.csv",
    "tmapi check --json",
)

_PANEL = "What to check"


class CheckOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Options of `tmapi check`.

    Attributes:
        journal: Journal that a harvest would write to, or None.
        to: Destinations of an export, or None.
        endpoint: Short name of the endpoint whose rows the destinations would get.
        free: Send no request to the API.
        connection: Account, server and limits.
        output: Progress and result.
    """

    journal: Annotated[
        Path | None,
        typer.Option(
            "--journal",
            metavar="FILE",
            help="Journal that a harvest would write to; it need not exist.",
            rich_help_panel=_PANEL,
            show_default=False,
            autocompletion=complete_journals,
        ),
    ] = None
    to: Annotated[
        list[str] | None,
        typer.Option(
            "--to",
            metavar="DEST...",
            help="Destinations that an export would write to.",
            rich_help_panel=_PANEL,
        ),
    ] = None
    endpoint: Annotated[
        str,
        typer.Option(
            "--endpoint",
            metavar="NAME",
            help="Endpoint whose rows the destinations would get.",
            rich_help_panel=_PANEL,
            autocompletion=complete_words(*BY_SHORT_NAME),
        ),
    ] = "category-v1"
    free: Annotated[
        bool,
        typer.Option(
            "--free",
            help="Send no request to the API: token and balance are not checked.",
            rich_help_panel=_PANEL,
        ),
    ] = False
    connection: SeveralAccountsOptions
    output: OutputOptions

    def check(self) -> None:
        """Check the options before anything is sent.

        Raises:
            InvalidRequestError: An option is invalid; the message names the option and the reason.
        """
        self.connection.check(allow_several=True)
        find_endpoint(self.endpoint)


@app.command("check")
@takes_struct
def check(context: typer.Context, options: CheckOptions) -> None:
    """Check token, host, balance, proxy, disk and destinations, before work.

    Everything but token and balance is checked without cost.
    These two are checked with one request for each account, which is billed as one page at most.
    """
    options.output.set_up_logging()
    options = with_settings(context, options, "check")
    options.output.set_up_logging()  # again, since a settings file may have changed it
    options.check()
    raise typer.Exit(run_check(options))


def run_check(options: CheckOptions) -> int:
    """Print the findings as they come and return the exit code."""
    findings: list[Finding] = []
    requests = 0

    async def check_all() -> int:
        nonlocal requests
        shown = not (options.output.json or options.output.quiet)
        async with aclosing(_findings(options)) as source:
            async for finding in source:
                findings.append(finding)
                requests += finding.check.startswith("account") and finding.result != "skipped"
                if shown:
                    print_output(str(finding))
        return _exit_code(findings)

    code = run(check_all())
    if options.output.json:
        summary = {"ok": code == OK, "requests": requests, "findings": findings}
        print_json(msgspec.json.encode(summary).decode())
    elif not options.output.quiet:
        print_output(_conclusion(findings))
    return code


async def _findings(options: CheckOptions) -> AsyncGenerator[Finding]:
    connection = options.connection
    accounts = 1 if connection.sandbox else len(connection.tokens())
    for finding in _places(options):
        yield finding
    yield check_token_place(connection, accounts)
    reachable = True
    if connection.sandbox:
        yield Finding("address", "fine", "a sandbox is started for this command")
    else:
        trust_env = connection.uses_environment_proxy
        async for finding in check_host(connection.address, trust_env=trust_env):
            reachable = reachable and finding.result != "failed"
            yield finding
        yield check_sharing()
    async with open_clients(connection, **single_request_options()) as clients:
        for number, api in enumerate(clients, 1):
            label = "account" if len(clients) == 1 else f"account {number} of {len(clients)}"
            if not connection.sandbox:
                yield msgspec.structs.replace(
                    check_limit(api, time.time()), check=f"limit, {label}"
                )
            if options.free:
                yield Finding(label, "skipped", "no request is sent, because of --free")
            elif not reachable:
                yield Finding(label, "skipped", "no request is sent: the host cannot be reached")
            else:
                if not options.output.quiet:
                    print_message("sending 1 request, which is billed as one page at most")
                yield await check_account(api, label)


def _places(options: CheckOptions) -> Iterable[Finding]:
    if options.journal is not None:
        yield from check_journal(options.journal)
    for to in options.to or ():
        yield check_destination(to, options.endpoint, options.journal)


def _exit_code(findings: Iterable[Finding]) -> int:
    if any(finding.refused for finding in findings):
        return REFUSED
    return PARTIAL if any(finding.result == "failed" for finding in findings) else OK


def _conclusion(findings: Iterable[Finding]) -> str:
    results = [finding.result for finding in findings]
    failed, warnings = results.count("failed"), results.count("warning")
    if failed:
        return f"NOT READY: {quantity(failed, 'check')} of {len(results)} failed"
    warned = f", {quantity(warnings, 'warning')}" if warnings else ""
    skipped = f", {results.count('skipped'):,} skipped" if "skipped" in results else ""
    return f"READY: {results.count('fine'):,} of {len(results)} checks are fine{warned}{skipped}"
