"""The options that every command which sends requests has, and the client they ask for."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, TypeAlias
from urllib.request import getproxies_environment

import msgspec
import typer

from ..address import DEFAULT_BASE_URL
from ..client import DEFAULT_TIMEOUT, TMAPI
from ..errors import InvalidRequestError

_ACCOUNT = "Account and server"
_PACE = "Speed and limits"
_FILTERS = "Filters"
_OUTPUT = "What is told"

CatArgument: TypeAlias = Annotated[
    list[str],
    typer.Argument(
        metavar="CAT...",
        help="Category IDs; - reads them from standard input, @FILE from a file, one a line.",
        show_default=False,
    ),
]
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
        "--token-file", help="File that holds the token.", rich_help_panel=_ACCOUNT, metavar="FILE"
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
MaxPagesOption: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--max-pages", help="Most pages of each listing.", rich_help_panel=_PACE, metavar="N"
    ),
]
SuperFactoryOption: TypeAlias = Annotated[
    bool, typer.Option("--super-factory", help="Only super factories.", rich_help_panel=_FILTERS)
]
DropshippingOption: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--support-dropshipping",
        help="Only items that can be drop-shipped.",
        rich_help_panel=_FILTERS,
    ),
]
FreeShippingOption: TypeAlias = Annotated[
    bool, typer.Option("--free-shipping", help="Only items shipped free.", rich_help_panel=_FILTERS)
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
DEFAULT_SECONDS = DEFAULT_TIMEOUT


class Connection(msgspec.Struct, frozen=True, kw_only=True):
    """How a command reaches the API: the parsed options of every command that sends requests."""

    token: str | None = None
    token_file: Path | None = None
    auth: str = DEFAULT_AUTH
    base_url: str | None = None
    sandbox: bool = False
    concurrency: str = "auto"
    rate: float | None = None
    timeout: float = DEFAULT_TIMEOUT
    lookahead: str = "auto"
    max_requests: int | None = None

    def check(self) -> None:
        """Refuse options that make no sense, before anything is sent or started.

        Raises:
            InvalidRequestError: The message says which and why.
        """
        if self.sandbox and (self.base_url, self.token, self.token_file) != (None, None, None):
            raise InvalidRequestError(
                "--sandbox brings its own server and token: leave out --base-url and --token"
            )
        self.client("http://127.0.0.1" if self.sandbox else None)

    def client(self, sandbox_url: str | None = None) -> TMAPI:
        """The client these options ask for.

        Args:
            sandbox_url: Where the sandbox of this command is served, if it has one.

        Raises:
            InvalidRequestError: An option makes no sense.
        """
        return TMAPI(
            SANDBOX_TOKEN if sandbox_url else self._token(),
            base_url=sandbox_url or self._base_url(),
            **self._limits(),
        )

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
            "max_requests": self.max_requests,
            # Looking for a proxy costs a thread for each request: only where one is named.
            "trust_env": not self.sandbox and bool(getproxies_environment()),
        }

    def _token(self) -> str:
        if self.token is not None:
            return self.token
        if self.token_file is None:
            return os.environ.get("TMAPI_TOKEN", "")
        try:
            text = self.token_file.read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or type(error).__name__
            raise InvalidRequestError(f"cannot read {self.token_file}: {reason}") from None
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        if len(lines) != 1:
            raise InvalidRequestError(
                f"{self.token_file} must hold one token on one line, not {len(lines)} lines"
            )
        return lines[0]

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
