"""The command that a harvest shows so that it can be continued."""

from __future__ import annotations

import pytest

from tmapi_async.cli.commands.harvest import command_to_continue


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        (["harvest", "7", "--journal", "a b"], "tmapi harvest 7 --journal 'a b'"),
        (["harvest", "7", "--token", "s3cret"], "tmapi harvest 7 (add the token)"),
        (["harvest", "--token=s3cret", "7"], "tmapi harvest 7 (add the token)"),
        (
            ["harvest", "7", "--to", "postgresql://me:s3cret@host/db"],
            "tmapi harvest 7 --to postgresql://...",
        ),
        (
            ["harvest", "7", "--to=postgres://me:s3cret@host/db"],
            "tmapi harvest 7 --to=postgresql://...",
        ),
        (
            ["harvest", "--to", "mysql://me:s3cret@host/db"],
            "tmapi harvest --to mysql://...@host/db",
        ),
        (["harvest", "--to=mysql://me:s3@ret@host"], "tmapi harvest --to=mysql://...@host"),
        (["harvest", *map(str, range(200))], "the same command"),
    ],
)
def test_the_command_to_continue_holds_no_secret(arguments: list[str], command: str) -> None:
    """Token and database passwords are left out; a very long command is not repeated."""
    assert command_to_continue(arguments) == command
