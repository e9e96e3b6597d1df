"""Options of a command together with those of its job file."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from tmapi_async.cli.commands.harvest import HarvestOptions
from tmapi_async.cli.options.job_merge import merge_job_file
from tmapi_async.cli.options.listing_sets import ListingSet
from tmapi_async.cli.options.option_structs import takes_struct
from tmapi_async.errors import InvalidRequestError

JOB = """\
journal = "shop.journal"
to = ["items.parquet", "postgresql://localhost/shop", "-"]
rate = 2.5
concurrency = 4
wait = 7200
max_pages = 3

[[listings]]
cat_ids = [1031910, 1031922]
"""


@pytest.fixture
def job(tmp_path: Path) -> Path:
    """A job file."""
    path = tmp_path / "job.toml"
    path.write_text(JOB, "utf-8")
    return path


def merge(*arguments: object) -> tuple[HarvestOptions, ListingSet]:
    """Return options and listings of a command line."""
    results: list[tuple[HarvestOptions, ListingSet]] = []

    @takes_struct
    def command(context: typer.Context, options: HarvestOptions) -> None:
        results.append(merge_job_file(context, options, options.listings, "harvest"))

    app = typer.Typer()
    app.command()(command)
    CliRunner().invoke(app, [*map(str, arguments)], catch_exceptions=False)
    return results[0]


def test_the_job_file_sets_options_of_every_group(job: Path) -> None:
    """Numbers become what the option takes; paths are relative to the job file."""
    options, listings = merge("--job", job)
    assert options.journal == job.parent / "shop.journal"
    assert options.destinations.to == [
        str(job.parent / "items.parquet"),
        "postgresql://localhost/shop",
        "-",
    ]
    assert (options.connection.rate, options.connection.concurrency) == (2.5, "4")
    assert options.connection.wait == 7200
    assert options.listings.max_pages == 3
    assert [listing.cat_id for listing in listings] == [1031910, 1031922]


def test_typed_options_replace_those_of_the_job_file(job: Path) -> None:
    """An option on the command line wins; the others of the file stay."""
    options, _ = merge("--job", job, "--rate", "9", "--journal", "other.journal")
    assert (options.connection.rate, options.connection.concurrency) == (9, "4")
    assert options.journal == Path("other.journal")


@pytest.mark.parametrize(
    ("arguments", "option"),
    [(["7"], "CAT"), (["--sort", "sales"], "--sort"), (["--free-shipping"], "--free-shipping")],
)
def test_listings_come_from_one_place(job: Path, arguments: list[str], option: str) -> None:
    """A category or a filter beside a job file is refused with its name."""
    with pytest.raises(InvalidRequestError, match=f"remove {option} or --job"):
        merge("--job", job, *arguments)
