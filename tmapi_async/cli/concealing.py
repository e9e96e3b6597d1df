"""Keeps tokens and passwords of the command line out of messages."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from tmapi_async.errors.shown_value import is_harmless

_OPTION = re.compile(r"--?[A-Za-z][A-Za-z-]*=")
_SUFFIX = re.compile(r"\.[A-Za-z][A-Za-z0-9]{0,7}$")
_TOKEN_OPTION = "--token"  # noqa: S105 - the name of the option
_MIN_TOKEN = 8
_MAX_COMMAND = 300
_DATABASE_ADDRESS = re.compile(r"(?is)postgres(?:ql)?://.*")


def possible_secrets(arguments: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    """Return the texts of a command line that may be a token, the longest first.

    Args:
        arguments: The command line, without the program.
        environment: Environment variables.
    """
    texts = set(known_tokens(arguments, environment))
    for argument in arguments:
        for text in _values(argument):
            if not (is_harmless(text) or _is_file_name(text)) or _is_odd_name(argument, text):
                texts.add(text)
    return sorted(texts, key=len, reverse=True)


def conceal(text: str, secrets: Iterable[str]) -> str:
    """Return a message with secrets replaced by their length."""
    for secret in secrets:
        for spelling in (secret, repr(secret)[1:-1]):
            text = text.replace(spelling, f"({len(secret):,} characters, not shown)")
    return text


def known_tokens(arguments: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    """Return the tokens that the command line and the environment state."""
    tokens = [environment.get("TMAPI_TOKEN", "")]
    for number, argument in enumerate(arguments):
        if argument == _TOKEN_OPTION:
            tokens += arguments[number + 1 : number + 2]
        elif argument.startswith(f"{_TOKEN_OPTION}="):
            tokens.append(argument.partition("=")[2])
    # Shorter values, such as that of the sandbox, are words of ordinary messages.
    return [token for token in tokens if len(token) >= _MIN_TOKEN]


def hide_passwords(arguments: list[str]) -> list[str]:
    """Return the arguments without passwords.

    Database addresses are cut: they may hold a password in the query, too. In other addresses the
    login is left out, also in those that are going to be refused.
    """
    cut = [_DATABASE_ADDRESS.sub("postgresql://...", argument) for argument in arguments]
    return [_without_login(argument) for argument in cut]


def _without_login(argument: str) -> str:
    """Return an argument without all that stands between its first `://` and its last `@`.

    A regular expression would look for the `@` again behind each `://`.
    """
    before, mark, rest = argument.partition("://")
    _, login_end, after = rest.rpartition("@")
    return f"{before}{mark}...{login_end}{after}" if login_end else argument


def _values(argument: str) -> Iterator[str]:
    """Yield an argument, and the value behind an option's name or a prefix."""
    value = _OPTION.sub("", argument, count=1)
    yield value
    for prefix in ("@", "env:", "file:"):
        if value.startswith(prefix):
            yield value.removeprefix(prefix)
    if value.startswith("-"):
        yield value.lstrip("-")
        yield value.lstrip("-").partition("=")[0]  # the parser takes this for an option's name


def _is_odd_name(argument: str, text: str) -> bool:
    """Return True if a text is the name of an option with characters that no option has."""
    odd = argument.startswith("-") and not _OPTION.match(f"{argument.partition('=')[0]}=")
    return odd and len(text) >= _MIN_TOKEN and not text.lstrip("-").isdigit()


def _is_file_name(text: str) -> bool:
    """Return True if a text looks like a path, or is the path of something that exists."""
    if text.startswith(("/", "./", "../", "~/", "@")) or "://" in text or _SUFFIX.search(text):
        return True
    try:
        return os.path.lexists(text) or ("/" in text and Path(text).parent.is_dir())
    except (OSError, ValueError):
        return False


def command_to_continue(arguments: list[str]) -> str:
    """Return the command that continues: the same one, without the token and passwords.

    Args:
        arguments: Arguments of the command, without the program.
    """
    shown: list[str] = []
    token_follows = False
    for argument in hide_passwords(arguments):
        if token_follows or argument.startswith("--token="):
            token_follows = False
        elif argument == "--token":
            token_follows = True
        else:
            shown.append(argument)
    text = shlex.join(["tmapi", *shown])
    if any(token in " ".join(shown) for token in known_tokens(arguments, os.environ)):
        return "the same command"
    if len(shown) < len(arguments):
        text = f"{text} (add the token)"
    return text if len(text) <= _MAX_COMMAND else "the same command"
