"""Messages about missing packages name a command that works without a package index release."""

from __future__ import annotations

from importlib import metadata

import pytest

from tmapi_async.errors import extras

REQUIREMENTS = [
    "aiohttp>=3.14.4",
    'duckdb>=1.1; extra == "export"',
    "pyarrow>=18; extra == 'export'",
    "psycopg[binary]>=3.2.1; extra == 'postgres'",
    "uvloop>=0.21; platform_system != 'Windows' and extra == 'speed'",
]


@pytest.fixture(autouse=True)
def _fresh():
    """Forget the commands that other tests have asked for."""
    extras.install_command.cache_clear()
    yield
    extras.install_command.cache_clear()


@pytest.mark.parametrize(
    ("extra", "command"),
    [
        ("export", 'pip install "duckdb>=1.1" "pyarrow>=18"'),
        ("postgres", 'pip install "psycopg[binary]>=3.2.1"'),
        ("speed", 'pip install "uvloop>=0.21"'),
        ("new", 'pip install ".[new]" in the folder of tmapi-async'),
    ],
)
def test_the_command_names_the_packages_of_the_extra(monkeypatch, extra, command):
    """The packages are on an index, this one may come from a folder."""
    monkeypatch.setattr(metadata, "requires", lambda _: REQUIREMENTS)
    assert extras.install_command(extra) == command


def test_a_package_that_is_not_installed_has_a_command_too(monkeypatch):
    """A checkout on the path has no metadata."""

    def fail(_):
        raise metadata.PackageNotFoundError

    monkeypatch.setattr(metadata, "requires", fail)
    assert (
        extras.install_command("export") == 'pip install ".[export]" in the folder of tmapi-async'
    )
