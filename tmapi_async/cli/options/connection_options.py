"""The options that every command which sends requests has, and the client they ask for.

Options are fields of structs: their annotations are what Typer shows and reads, and a command that
takes such a struct (`takes`) has them all.
"""

from __future__ import annotations

import functools
import inspect
import os
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, TypeAlias
from urllib.request import getproxies_environment

import msgspec
import typer

from tmapi_async.cli.textfiles import read_text
from tmapi_async.client.client import DEFAULT_TIMEOUT, TMAPI
from tmapi_async.errors import InvalidRequestError
from tmapi_async.limits.budget import Budget
from tmapi_async.transport.credentials import DEFAULT_BASE_URL, check_base_url

_ACCOUNT = "Account and server"
_PACE = "Speed and limits"
_OUTPUT = "What is told"
_LARGEST_TOKEN_FILE = 2**20

TokenOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--token",
        help="Token of the account. Others on this machine can see it in the list of processes:"
        " TMAPI_TOKEN in the environment is preferred.",
        rich_help_panel=_ACCOUNT,
        show_default=False,
    ),
]
TokenFileOption: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--token-file",
        help="File that holds the token; for harvest, of several accounts, one a line.",
        rich_help_panel=_ACCOUNT,
        metavar="FILE",
    ),
]
AuthOption: TypeAlias = Annotated[
    str,
    typer.Option(
        "--auth",
        help="How the token is sent: query (apiToken=) or header (apikey:).",
        rich_help_panel=_ACCOUNT,
        metavar="query|header",
    ),
]
BaseUrlOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--base-url",
        help=f"Where the API is served; else TMAPI_BASE_URL, else {DEFAULT_BASE_URL}.",
        rich_help_panel=_ACCOUNT,
        metavar="URL",
        show_default=False,
    ),
]
SandboxOption: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--sandbox",
        help="Ask a sandbox started for this command; needs no token.",
        rich_help_panel=_ACCOUNT,
    ),
]
ConcurrencyOption: TypeAlias = Annotated[
    str,
    typer.Option(
        "--concurrency",
        help="Most requests in flight; auto learns how many the account may have.",
        rich_help_panel=_PACE,
        metavar="auto|N",
    ),
]
RateOption: TypeAlias = Annotated[
    float | None,
    typer.Option("--rate", help="Most requests a second.", rich_help_panel=_PACE, metavar="R"),
]
TimeoutOption: TypeAlias = Annotated[
    float,
    typer.Option("--timeout", help="Seconds for one request.", rich_help_panel=_PACE, metavar="S"),
]
LookaheadOption: TypeAlias = Annotated[
    str,
    typer.Option(
        "--lookahead",
        help="Ask for later pages of a listing where slots would idle: auto, off, or N pages.",
        rich_help_panel=_PACE,
        metavar="auto|off|N",
    ),
]
MaxRequestsOption: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--max-requests",
        help="Most requests to send, retries included.",
        rich_help_panel=_PACE,
        metavar="N",
    ),
]
JsonOption: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--json", help="End with the summary as one JSON object.", rich_help_panel=_OUTPUT
    ),
]
QuietOption: TypeAlias = Annotated[
    bool,
    typer.Option("--quiet", "-q", help="No progress and no summary.", rich_help_panel=_OUTPUT),
]
VerboseOption: TypeAlias = Annotated[
    int,
    typer.Option(
        "--verbose",
        "-v",
        count=True,
        help="Log retries; twice: every attempt.",
        rich_help_panel=_OUTPUT,
        show_default=False,
    ),
]

SANDBOX_TOKEN = "sandbox"  # noqa: S105 - the sandbox's public token
SANDBOX_LIMIT = 8
DEFAULT_AUTH = "query"


class Telling(msgspec.Struct, frozen=True, kw_only=True):
    """What a command tells: options of every command that sends requests."""

    json: JsonOption = False
    quiet: QuietOption = False
    verbose: VerboseOption = 0


class ConnectionOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How a command reaches the API: options of every command that sends requests."""

    max_requests: MaxRequestsOption = None
    concurrency: ConcurrencyOption = "auto"
    rate: RateOption = None
    timeout: TimeoutOption = DEFAULT_TIMEOUT
    lookahead: LookaheadOption = "auto"
    token: TokenOption = None
    token_file: TokenFileOption = None
    auth: AuthOption = DEFAULT_AUTH
    base_url: BaseUrlOption = None
    sandbox: SandboxOption = False

    def check(self, *, several: bool = False) -> None:
        """Refuse options that make no sense, before anything is sent or started.

        Args:
            several: Whether there may be several accounts.

        Raises:
            InvalidRequestError: The message says which and why.
        """
        if self.sandbox and (self.base_url, self.token, self.token_file) != (None, None, None):
            raise InvalidRequestError(
                "--sandbox brings its own server and token: leave out --base-url and --token"
            )
        clients = self.clients("http://127.0.0.1" if self.sandbox else None)
        if len(clients) > 1 and not several:
            raise InvalidRequestError(
                f"{self.token_file} must hold one token on one line, not {len(clients)} lines: "
                "several accounts are for tmapi harvest"
            )

    def clients(self, sandbox_url: str | None = None) -> list[TMAPI]:
        """The clients these options ask for, one for each account; they share the budget.

        Args:
            sandbox_url: Where the sandbox of this command is served, if it has one.

        Raises:
            InvalidRequestError: An option makes no sense.
        """
        tokens = [SANDBOX_TOKEN] if sandbox_url else self._tokens()
        base_url, limits = sandbox_url or self._base_url(), self._limits()
        return [TMAPI(token, base_url=base_url, **limits) for token in tokens]

    @property
    def host(self) -> str:
        """What a journal notes as the API's host; each sandbox is the same one."""
        return "sandbox" if self.sandbox else check_base_url(self._base_url())

    def _base_url(self) -> str:
        # Given but empty, as by an unset variable of a script, is refused: no other host is meant.
        if self.base_url is not None:
            return self.base_url
        return os.environ.get("TMAPI_BASE_URL") or DEFAULT_BASE_URL

    def _limits(self) -> dict[str, Any]:
        return {
            "auth": self.auth,
            "concurrency": _word_or_number("--concurrency", self.concurrency, "auto"),
            "lookahead": _word_or_number("--lookahead", self.lookahead, "auto", "off"),
            "rate": self.rate,
            "timeout": self.timeout,
            "max_requests": None if self.max_requests is None else Budget(self.max_requests),
            # Looking for a proxy costs a thread for each request: only where one is named.
            "trust_env": not self.sandbox and bool(getproxies_environment()),
        }

    def _tokens(self) -> list[str]:
        if self.token is not None:
            return [self.token]
        if self.token_file is None:
            return [os.environ.get("TMAPI_TOKEN", "")]
        text = read_text(self.token_file, str(self.token_file), most=_LARGEST_TOKEN_FILE)
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        if not lines:
            raise InvalidRequestError(
                f"{self.token_file} must hold one token on one line, not 0 lines"
            )
        if len({*lines}) < len(lines):
            raise InvalidRequestError(
                f"{self.token_file} holds a token twice: an account has one limit, however often "
                "it is named"
            )
        return lines

    def __repr__(self) -> str:
        return "Connection()"  # the token is a field


def _word_or_number(option: str, value: str, *words: str) -> str | int:
    if value in words:
        return value
    try:
        return int(value)
    except ValueError:
        choices = ", ".join(words)
        raise InvalidRequestError(
            f"{option} must be {choices} or a number, not {value!r}"
        ) from None


def takes(command: Callable[..., None]) -> Callable[..., None]:
    """Let Typer see the fields of a command's struct parameters as options of the command."""
    hints = typing.get_type_hints(command, include_extras=True)
    structs = {name: kind for name, kind in hints.items() if _is_struct(kind)}
    params: list[inspect.Parameter] = []
    for param in inspect.signature(command).parameters.values():
        if param.name in structs:
            params += _params(structs[param.name])
        else:
            kind = inspect.Parameter.KEYWORD_ONLY
            params.append(param.replace(kind=kind, annotation=hints[param.name]))

    @functools.wraps(command)
    def called(**given: Any) -> None:
        for name, kind in structs.items():
            given[name] = kind(**{field: given.pop(field) for field in kind.__struct_fields__})
        command(**given)

    called.__signature__ = inspect.Signature(params)  # type: ignore[attr-defined]
    called.__annotations__ = {param.name: param.annotation for param in params}
    return called


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def _params(kind: type[msgspec.Struct]) -> list[inspect.Parameter]:
    hints = typing.get_type_hints(kind, include_extras=True)
    return [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=field.default,
            annotation=hints[field.name],
        )
        for field in msgspec.structs.fields(kind)
    ]
