"""Options of commands that send requests, and the clients that these options describe."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Self, TypeAlias
from urllib.request import getproxies_environment

import msgspec
import typer

from tmapi_async.cli.completion.completed_values import complete_words
from tmapi_async.cli.textfiles import read_text
from tmapi_async.client.client import TMAPI
from tmapi_async.client.environment import read_environment
from tmapi_async.client.settings import DEFAULT_TIMEOUT
from tmapi_async.errors import BudgetSpentError, InvalidRequestError
from tmapi_async.errors.shown_value import show_value
from tmapi_async.limits.budget import Budget
from tmapi_async.transport.credentials import DEFAULT_BASE_URL, check_base_url, check_token
from tmapi_async.transport.frames import forgets_locals

_ACCOUNT = "Account and server"
_PACE = "Speed and limits"
_MAX_TOKEN_FILE = 2**20

TokenOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--token",
        metavar="TOKEN",
        help="Token of the account. Other users of this machine can see it in the process list, so"
        " prefer the environment variable TMAPI_TOKEN.",
        rich_help_panel=_ACCOUNT,
        show_default=False,
    ),
]
TokenFileOption: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--token-file",
        help="File that contains the token.",
        rich_help_panel=_ACCOUNT,
        metavar="FILE",
    ),
]
AuthOption: TypeAlias = Annotated[
    str,
    typer.Option(
        "--auth",
        help="Send the token as a query parameter (apiToken=) or as a header (apikey:).",
        rich_help_panel=_ACCOUNT,
        metavar="query|header",
        autocompletion=complete_words("query", "header"),
    ),
]
BaseUrlOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--base-url",
        help="Address of the API. Default: the environment variable TMAPI_BASE_URL, or"
        f" {DEFAULT_BASE_URL}.",
        rich_help_panel=_ACCOUNT,
        metavar="URL",
        show_default=False,
    ),
]
SandboxOption: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--sandbox",
        help="Use a local sandbox, started for this command, in place of the API. Needs no token.",
        rich_help_panel=_ACCOUNT,
    ),
]
ConcurrencyOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--concurrency",
        help="Maximum number of requests at the same time. auto finds the account's limit. Default:"
        " the environment variable TMAPI_CONCURRENCY, or auto.",
        rich_help_panel=_PACE,
        metavar="auto|N",
        autocompletion=complete_words("auto"),
        show_default=False,
    ),
]
RateOption: TypeAlias = Annotated[
    float | None,
    typer.Option(
        "--rate",
        help="Maximum number of requests per second. Default: the environment variable TMAPI_RATE,"
        " or no limit.",
        rich_help_panel=_PACE,
        metavar="R",
    ),
]
TimeoutOption: TypeAlias = Annotated[
    float | None,
    typer.Option(
        "--timeout",
        help="Time limit of one request, in seconds. Default: the environment variable"
        f" TMAPI_TIMEOUT, or {DEFAULT_TIMEOUT:g}.",
        rich_help_panel=_PACE,
        metavar="S",
        show_default=False,
    ),
]
WaitOption: TypeAlias = Annotated[
    float | None,
    typer.Option(
        "--wait",
        help="Time to wait for an API that does not answer any more, in seconds, before all work"
        " stops; one request at a time is sent meanwhile. 0 does not wait: each page is tried a few"
        " times, and fails. By default about a minute, and only if the API has answered before.",
        rich_help_panel=_PACE,
        metavar="S",
        show_default=False,
    ),
]
LookaheadOption: TypeAlias = Annotated[
    str,
    typer.Option(
        "--lookahead",
        help="Request pages before it is known that they exist, when the account has free slots:"
        " auto, off, or at most N pages ahead. A page that does not exist is billed, too.",
        rich_help_panel=_PACE,
        metavar="auto|off|N",
        autocompletion=complete_words("auto", "off"),
    ),
]
ShareOption: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--share/--no-share",
        help="Share the account's limit evenly with the other processes on this machine that use"
        " the same account. --no-share keeps this process apart: it learns the limit by itself.",
        rich_help_panel=_PACE,
    ),
]
MaxRequestsOption: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--max-requests",
        help="Maximum number of requests to send, retries included. Default: the environment"
        " variable TMAPI_MAX_REQUESTS, or no limit.",
        rich_help_panel=_PACE,
        metavar="N",
    ),
]
SANDBOX_TOKEN = "sandbox"  # noqa: S105 - the sandbox's public token
SANDBOX_LIMIT = 8
DEFAULT_AUTH = "query"
DEFAULT_WAIT = 1800.0
"""Seconds for which a harvest waits for an API that does not answer."""


class ConnectionOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Account, server and limits: options of every command that sends requests."""

    max_requests: MaxRequestsOption = None
    concurrency: ConcurrencyOption = None
    rate: RateOption = None
    share: ShareOption = True
    timeout: TimeoutOption = None
    wait: WaitOption = None
    lookahead: LookaheadOption = "auto"
    token: TokenOption = None
    token_file: TokenFileOption = None
    auth: AuthOption = DEFAULT_AUTH
    base_url: BaseUrlOption = None
    sandbox: SandboxOption = False

    @forgets_locals
    def check(self, *, allow_several: bool = False) -> None:
        """Check the options before anything is sent or started.

        Args:
            allow_several: The command can use several accounts.

        Raises:
            InvalidRequestError: An option is invalid; the message names the option and the reason.
        """
        if self.sandbox and (self.base_url, self.token, self.token_file) != (None, None, None):
            raise InvalidRequestError(
                "--sandbox uses its own server and token: remove --base-url, --token and "
                "--token-file"
            )
        clients = self.clients("http://127.0.0.1" if self.sandbox else None)
        if len(clients) > 1 and not allow_several:
            raise InvalidRequestError(
                f"{self.token_file} must contain one token on one line, not {len(clients)} lines: "
                "only tmapi harvest can use several accounts"
            )

    @forgets_locals
    def clients(self, sandbox_url: str | None = None, **others: Any) -> list[TMAPI]:
        """Return the clients that these options describe, one for each account.

        The clients share the budget.

        Args:
            sandbox_url: Address of this command's sandbox, if there is one.
            **others: Options of the clients that the command line does not have, or replaces.

        Raises:
            InvalidRequestError: An option is invalid.
        """
        tokens = [SANDBOX_TOKEN] if sandbox_url else self.tokens()
        base_url, limits = sandbox_url or self.address, {**self._limits(), **others}
        clients = [TMAPI(token, base_url=base_url, **limits) for token in tokens]
        for client in clients if sandbox_url else ():
            client.core.page_sources.name_host(self.host)  # its port is another one each time
        return clients

    @property
    def host(self) -> str:
        """Name of the API's host in a journal; every sandbox has the same name."""
        return "sandbox" if self.sandbox else check_base_url(self.address)

    @property
    def uses_environment_proxy(self) -> bool:
        """True if requests take their proxy from the environment."""
        # aiohttp looks for a proxy in a thread for each request: only where one is configured.
        return not self.sandbox and bool(getproxies_environment())

    def bounds(self) -> tuple[int | None, float | None]:
        """Return the maximum number of requests at once and that per second, or None for each."""
        limits = self._limits()
        width = limits.get("concurrency")
        return (width if isinstance(width, int) else None), limits.get("rate")

    def after(self, requests: int) -> Self:
        """Return the options after some requests of the budget were sent.

        Raises:
            BudgetSpentError: The budget is spent.
        """
        budget = self._limits()["max_requests"]
        if not requests or budget is None or budget.left is None:
            return self
        if requests >= budget.left:
            raise BudgetSpentError
        return msgspec.structs.replace(self, max_requests=budget.left - requests)

    @property
    def address(self) -> str:
        """Address of the API, as typed, from the environment or by default."""
        # An empty value, as from an unset variable of a script, is refused later on: the user did
        # not mean the default host.
        if self.base_url is not None:
            return self.base_url
        base_url: str = read_environment()["base_url"]
        return base_url

    def _limits(self) -> dict[str, Any]:
        limits: dict[str, Any] = {
            "concurrency": _word_or_number("--concurrency", self.concurrency, "auto"),
            "rate": self.rate,
            "timeout": self.timeout,
            "max_requests": self.max_requests,
        }
        for name, value in read_environment().items():
            if name in limits and limits[name] is None:
                limits[name] = value
        most = limits.pop("max_requests")
        return {
            "auth": self.auth,
            "lookahead": _word_or_number("--lookahead", self.lookahead, "auto", "off"),
            "wait": self.wait,
            "max_requests": None if most is None else Budget(most),
            "shared": self.share and not self.sandbox,
            "trust_env": self.uses_environment_proxy,
            # Without a value, the client has its own.
            **{name: value for name, value in limits.items() if value is not None},
        }

    @forgets_locals
    def tokens(self) -> list[str]:
        """Return the token of each account, from the options or the environment.

        Raises:
            InvalidRequestError: The token file cannot be used.
        """
        if self.token is not None:
            return [self.token]
        if self.token_file is None:
            return [read_environment()["token"]]
        text = read_text(self.token_file, str(self.token_file), limit=_MAX_TOKEN_FILE)
        lines: dict[str, int] = {}
        for number, line in enumerate(text.splitlines(), 1):
            if not line.strip():
                continue
            token = check_token(line.strip(), f"line {number} of {self.token_file}")
            first = lines.setdefault(token, number)
            if first != number:
                raise InvalidRequestError(
                    f"lines {first} and {number} of {self.token_file} contain the same token: an "
                    "account has one limit, so list each token once"
                )
        if not lines:
            raise InvalidRequestError(
                f"{self.token_file} must contain one token on one line, and it is empty"
            )
        return list(lines)

    def __repr__(self) -> str:
        return "ConnectionOptions()"  # a field holds the token


class SeveralAccountsOptions(ConnectionOptions, frozen=True, kw_only=True):
    """Account, server and limits of a command that can use several accounts."""

    token_file: Annotated[
        Path | None,
        typer.Option(
            "--token-file",
            help="File that contains the token, or one token per line for several accounts.",
            rich_help_panel=_ACCOUNT,
            metavar="FILE",
        ),
    ] = None
    wait: Annotated[
        float | None,
        typer.Option(
            "--wait",
            help="Time to wait for an API that does not answer, in seconds, before the harvest"
            " stops; one request at a time is sent meanwhile. 0 does not wait: each page is tried a"
            " few times, and fails. A journal that is locked, or whose disk is full, is waited for"
            " as long.",
            rich_help_panel=_PACE,
            metavar="S",
        ),
    ] = DEFAULT_WAIT


def _word_or_number(option: str, value: str | None, *words: str) -> str | int | None:
    if value is None or value in words:
        return value
    try:
        return int(value)
    except ValueError:
        choices = ", ".join(words)
        raise InvalidRequestError(
            f"{option} must be {choices} or a number, not {show_value(value)}"
        ) from None
