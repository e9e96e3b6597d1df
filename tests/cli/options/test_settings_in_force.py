"""Options of a command together with the environment and the settings files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from tmapi_async.cli.commands.harvest import HarvestOptions
from tmapi_async.cli.options.job_merge import merge_job_file
from tmapi_async.cli.options.option_structs import takes_struct
from tmapi_async.errors import InvalidRequestError


@pytest.fixture(autouse=True)
def _places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the working folder be an empty project, and the user have no settings."""
    (tmp_path / "project").mkdir()
    (tmp_path / "tmapi").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    for name in ("TOKEN", "BASE_URL", "RATE", "CONCURRENCY"):
        monkeypatch.delenv(f"TMAPI_{name}", raising=False)


def write(path: str, text: str) -> Path:
    """Write a file; its path is relative to the project."""
    Path(path).write_text(text, "utf-8")
    return Path(path)


def merged(*arguments: object) -> HarvestOptions:
    """Return the options of `tmapi harvest` with these arguments."""
    results: list[HarvestOptions] = []
    app = typer.Typer()

    @app.callback()
    def common(no_settings: bool = False) -> None:
        """Take the option of the whole program."""

    @app.command("harvest")
    @takes_struct
    def harvest(context: typer.Context, options: HarvestOptions) -> None:
        results.append(merge_job_file(context, options, options.listings, "harvest")[0])

    CliRunner().invoke(app, [*map(str, arguments)], catch_exceptions=False)
    return results[0]


def test_a_source_wins_over_those_behind_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Option, environment, job file, project file, user file, default."""
    assert merged("harvest", "7").connection.rate is None
    write("../tmapi/config.toml", "rate = 5\nmax_pages = 5\nwait = 5")
    assert merged("harvest", "7").connection.rate == 5
    write("tmapi.toml", "rate = 4\nmax_pages = 4")
    options = merged("harvest", "7")
    assert (options.connection.rate, options.listings.max_pages) == (4, 4)
    job = write("job.toml", "rate = 3\n[[listings]]\ncat_ids = [7]\n")
    options = merged("harvest", "--job", job)
    assert (options.connection.rate, options.listings.max_pages) == (3, 4)
    assert options.connection.wait == 5
    monkeypatch.setenv("TMAPI_RATE", "2")
    assert merged("harvest", "--job", job).connection.bounds()[1] == 2
    assert merged("harvest", "--job", job, "--rate", "1").connection.bounds()[1] == 1


def test_a_flag_of_a_file_can_be_turned_off() -> None:
    """Each flag has its opposite on the command line."""
    flags = "fail_empty = true\nsplit = true\nrefresh = true\nhistory = true\ncsv_bom = true\n"
    write("tmapi.toml", f'{flags}to = ["x.csv"]\nshare = false\n')

    def values(*arguments: str) -> list[bool]:
        options = merged("harvest", "7", *arguments)
        return [
            options.listings.fail_empty,
            options.split.split,
            options.renewal.refresh,
            options.destinations.history,
            options.destinations.csv_bom,
            not options.connection.share,
        ]

    assert all(values())
    off = ("fail-empty", "split", "refresh", "history", "csv-bom")
    assert not any(values(*(f"--no-{name}" for name in off), "--share"))


def test_the_token_of_the_environment_wins_over_the_file_of_a_settings_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A file of tokens counts where the environment has none."""
    (tmp_path / "token").write_text("from-the-file\n")
    write("../tmapi/config.toml", f'token_file = "{tmp_path / "token"}"\n')
    assert merged("harvest", "7").connection.tokens() == ["from-the-file"]
    monkeypatch.setenv("TMAPI_TOKEN", "from-the-environment")
    assert merged("harvest", "7").connection.tokens() == ["from-the-environment"]


def test_a_sandbox_needs_no_change_of_the_settings() -> None:
    """Address and token of the user do not concern a sandbox."""
    write("../tmapi/config.toml", 'base_url = "https://h"\ntoken_file = "/none"\nrate = 5\n')
    options = merged("harvest", "7", "--sandbox")
    options.connection.check()
    assert options.connection.rate == 5


def test_settings_files_can_be_left_aside() -> None:
    """`tmapi --no-settings COMMAND` reads neither of them, and the job file alone."""
    write("../tmapi/config.toml", "rate = 5\n")
    write("tmapi.toml", "no such key = 5\n")
    job = write("job.toml", "timeout = 3\n[[listings]]\ncat_ids = [7]\n")
    options = merged("--no-settings", "harvest", "--job", job)
    assert (options.connection.rate, options.connection.timeout) == (None, 3)


def test_the_settings_of_a_project_are_named() -> None:
    """Its file may lie there without the user knowing; those without effect are not named."""
    write("tmapi.toml", "rate = 5\nmax_pages = 2\nunique = true\ncsv_bom = true\n")
    runner = CliRunner()
    app = typer.Typer()

    @app.command()
    @takes_struct
    def harvest(context: typer.Context, options: HarvestOptions) -> None:
        merge_job_file(context, options, options.listings, "harvest")

    line = "tmapi: settings of tmapi.toml: rate, max_pages\n"
    assert runner.invoke(app, ["7"], catch_exceptions=False).stderr == line
    assert runner.invoke(app, ["7", "-q"], catch_exceptions=False).stderr == ""
    one = runner.invoke(app, ["7", "--rate", "9"], catch_exceptions=False).stderr
    assert one == "tmapi: settings of tmapi.toml: max_pages\n"


def test_a_refusal_names_the_file_that_has_set_an_option() -> None:
    """The user has typed no such option, and would look for it in vain."""
    write("tmapi.toml", 'to = ["x.csv"]\nrate = 5\n')
    app = typer.Typer()

    @app.command()
    @takes_struct
    def harvest(context: typer.Context, options: HarvestOptions) -> None:
        merge_job_file(context, options, options.listings, "harvest")
        raise InvalidRequestError("--to takes one endpoint, see --token")

    with pytest.raises(InvalidRequestError) as caught:
        CliRunner().invoke(app, ["7"], catch_exceptions=False)
    assert str(caught.value) == "--to takes one endpoint, see --token (to is set in tmapi.toml)"


@pytest.mark.parametrize("place", ["tmapi.toml", "../tmapi/config.toml", "job.toml"])
def test_a_wrong_key_of_any_file_is_refused_with_the_file(place: str) -> None:
    """Job file, project file and user file have one reader."""
    write("job.toml", "[[listings]]\ncat_ids = [7]\n")
    listings = "[[listings]]\ncat_ids = [7]\n" if place == "job.toml" else ""
    wrong: dict[str, Any] = {
        "max_page = 5\n": "did you mean max_pages",
        "rate = true\n": "rate must be a number above 0",
    }
    for line, reason in wrong.items():
        path = write(place, f"{line}{listings}")
        with pytest.raises(InvalidRequestError, match=reason) as caught:
            merged("harvest", "--job", "job.toml")
        assert str(path.name) in str(caught.value)
        assert "line 1" in str(caught.value)
