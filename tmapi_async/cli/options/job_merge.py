"""Combines the options of a command with those of a job file; typed options win."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import typer

from tmapi_async.cli.console import print_message
from tmapi_async.cli.textfiles import user_path
from tmapi_async.errors import InvalidRequestError

from .job_file import OptionTypes, read_job
from .listing_options import FILTERS, ListingOptions, option_name
from .listing_sets import ListingSet
from .option_structs import replace_options
from .path_checks import check_values

NUMBER = (int, float)

_OPTION_TYPES: OptionTypes = {
    "max_pages": int,
    "fail_empty": bool,
    "max_requests": int,
    "concurrency": (int, str),
    "rate": NUMBER,
    "share": bool,
    "timeout": NUMBER,
    "wait": NUMBER,
    "lookahead": (int, str),
    "auth": str,
    "base_url": str,
    "token_file": str,
    "split": bool,
    "ceiling": int,
}
"""Options that a job file may set for every command, with the types of their values."""


OptionsT = TypeVar("OptionsT", bound=msgspec.Struct)


def merge_job_file(
    context: typer.Context, options: OptionsT, listings: ListingOptions, option_types: OptionTypes
) -> tuple[OptionsT, ListingSet]:
    """Return the options with the values of the job file, and the listings to fetch.

    Args:
        context: Context of the command.
        options: Options as typed.
        listings: The group of listing options among them.
        option_types: Options of this command alone that a job file may set, with their types.

    Raises:
        InvalidRequestError: The listings or the job file are invalid.
    """
    if listings.job is None:
        return options, ListingSet([listings.group(sys.stdin.buffer)])
    for name in ("cats", "keyword", "shop", "endpoint", *FILTERS):
        if _given_on_command_line(context, name):
            raise InvalidRequestError(
                f"the job file names the listings: remove {option_name(name)} or --job"
            )
    job = read_job(listings.job, {**_OPTION_TYPES, **option_types})
    values = {
        name: value
        for name, value in job.options.items()
        if not _given_on_command_line(context, name)
    }
    options = replace_options(options, _convert(values, listings.job.parent))
    check_values(options)
    return options, ListingSet(job.groups)


def print_repeated(listings: ListingSet, options: ListingOptions) -> None:
    """Tell the user that some listings were given more than once."""
    if listings.repeated:
        noun = "IDs" if options.cats else "listings"
        print_message(f"left out {listings.repeated:,} repeated {noun}: each is fetched once")


def _given_on_command_line(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _convert(values: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Convert values to the types of the options, with paths relative to the job file."""
    resolved = dict(values)
    for name in ("journal", "token_file"):
        if name in resolved:
            resolved[name] = folder / user_path(resolved[name])
    if "://" not in resolved.get("cache", "://"):
        resolved["cache"] = str(folder / user_path(resolved["cache"]))
    for name in ("concurrency", "lookahead", "max_age", "stale_if_error"):
        if name in resolved:
            resolved[name] = str(resolved[name])
    if "to" in resolved:
        resolved["to"] = [
            str(target)
            if target == "-" or "://" in str(target)
            else str(folder / user_path(str(target)))
            for target in resolved["to"]
        ]
    return resolved
