"""Options that fetch finished listings again: `--refresh` and `--older-than`."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import msgspec
import typer

from tmapi_async.cli.configuration.durations import read_age
from tmapi_async.errors import InvalidRequestError

OlderThanOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--older-than",
        metavar="AGE",
        help="Fetch again, in a new run, what was fetched longer ago than this, such as 7d, 12h or"
        " 30m.",
        show_default=False,
    ),
]


class RenewalOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Options about listings that are finished.

    Attributes:
        refresh: Begin a new run if the last one is complete.
        older_than: Age above which a finished listing is fetched again, as typed.
    """

    refresh: Annotated[
        bool,
        typer.Option(
            "--refresh/--no-refresh",
            help="If the last run is complete, begin a new one and keep the old one. An unfinished"
            " run is continued first.",
        ),
    ] = False
    older_than: OlderThanOption = None

    def check(self) -> None:
        """Check the options before anything is sent.

        Raises:
            InvalidRequestError: The age is none, or both options were given.
        """
        if self.max_age is not None and self.refresh:
            raise InvalidRequestError("--older-than and --refresh exclude each other: remove one")

    @property
    def max_age(self) -> float | None:
        """Age in seconds above which a finished listing is fetched again, or None.

        Raises:
            InvalidRequestError: The text is not an age above 0.
        """
        if self.older_than is None:
            return None
        return read_age("--older-than", self.older_than)
