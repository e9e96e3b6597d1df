"""Options that tell the cost of a harvest before it is paid for, and ask for confirmation."""

from __future__ import annotations

from typing import Annotated

import msgspec
import typer

from tmapi_async.errors import InvalidRequestError

_PANEL = "Cost, before it is paid for"


class CostOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Options about the expected cost of a harvest.

    Attributes:
        dry_run: Print the expected cost as far as the journal knows it; send nothing.
        estimate: Print the expected cost; request first pages where the journal knows nothing.
        confirm_above: Number of requests above which the user is asked, or None.
        yes: Answer yes to that question.
    """

    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Print the pages, requests and time to expect, as far as the journal tells them."
            " Send nothing.",
            rich_help_panel=_PANEL,
        ),
    ] = False
    estimate: Annotated[
        bool,
        typer.Option(
            "--estimate",
            help="As --dry-run, but first request one page of each new listing whose pages tell a"
            " total. These pages are kept in the journal.",
            rich_help_panel=_PANEL,
        ),
    ] = False
    confirm_above: Annotated[
        int | None,
        typer.Option(
            "--confirm-above",
            metavar="N",
            help="Ask before a harvest that is expected to send more than N requests. Where nobody"
            " can be asked, it is refused without --yes.",
            rich_help_panel=_PANEL,
            show_default=False,
        ),
    ] = None
    yes: Annotated[
        bool,
        typer.Option(
            "--yes", help="Answer yes to the question of --confirm-above.", rich_help_panel=_PANEL
        ),
    ] = False

    @property
    def enabled(self) -> bool:
        """True if the cost is to be known before the harvest begins."""
        return self.dry_run or self.estimate or self.confirm_above is not None

    def check(self) -> None:
        """Check the options before anything is sent.

        Raises:
            InvalidRequestError: An option is invalid, or two options contradict each other.
        """
        if self.dry_run and self.estimate:
            raise InvalidRequestError("--dry-run sends nothing: remove it, or remove --estimate")
        if self.confirm_above is None:
            if self.yes:
                raise InvalidRequestError(
                    "--yes answers the question of --confirm-above N: add that, or remove --yes"
                )
        elif self.confirm_above < 0:
            raise InvalidRequestError(f"--confirm-above must not be below 0: {self.confirm_above}")
        elif self.dry_run or self.estimate:
            option = "--dry-run" if self.dry_run else "--estimate"
            raise InvalidRequestError(f"{option} begins no harvest: remove --confirm-above")
