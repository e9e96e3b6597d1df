"""Combines the options of a command with its job file and the settings files."""

from __future__ import annotations

import sys

import typer

from tmapi_async.cli.configuration.setting_keys import keys_of
from tmapi_async.cli.console import print_message
from tmapi_async.errors import InvalidRequestError

from .job_file import read_job
from .listing_options import FILTERS, ListingOptions, option_name
from .listing_sets import ListingSet
from .settings_in_force import OptionsT, typed_by_user, with_settings


def merge_job_file(
    context: typer.Context, options: OptionsT, listings: ListingOptions, command: str
) -> tuple[OptionsT, ListingSet]:
    """Return the options with the values of job and settings files, and the listings to fetch.

    Args:
        context: Context of the command.
        options: Options as typed.
        listings: The group of listing options among them.
        command: Name of the command.

    Raises:
        InvalidRequestError: The listings, the job file or a settings file are invalid.
    """
    if listings.job is None:
        options = with_settings(context, options, command)
        return options, ListingSet([listings.group(sys.stdin.buffer)])
    for name in ("cats", "keyword", "shop", "endpoint", *FILTERS):
        if typed_by_user(context, name):
            raise InvalidRequestError(
                f"the job file names the listings: remove {option_name(name)} or --job"
            )
    job = read_job(listings.job, keys_of(command))
    options = with_settings(context, options, command, (listings.job, job.options))
    return options, ListingSet(job.groups)


def print_repeated(listings: ListingSet, options: ListingOptions) -> None:
    """Tell the user that some listings were given more than once."""
    if listings.repeated:
        noun = "IDs" if options.cats else "listings"
        print_message(f"left out {listings.repeated:,} repeated {noun}: each is fetched once")
