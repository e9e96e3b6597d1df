"""The options `--install-completion` and `--show-completion` of Typer, with plain messages."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from tmapi_async.errors import InvalidRequestError

COMPLETION_VARIABLE = "_TMAPI_COMPLETE"
"""Environment variable with which a shell asks for values."""

_SHELLS = ("bash", "zsh", "fish", "powershell", "pwsh")
_OPTIONS = ("install_completion", "show_completion")


def explain_failures(params: list[Any]) -> None:
    """Let the two options say what is wrong in the words of this program.

    Args:
        params: Options of the command, some of which are Typer's own.
    """
    for param in params:
        if param.name in _OPTIONS and not hasattr(param.callback, "is_explained"):
            param.callback = _explained(param.callback)
            param.metavar = ""


def _explained(callback: Callable[..., Any]) -> Callable[..., Any]:
    def run(context: Any, param: Any, value: Any) -> Any:
        if not value or context.resilient_parsing:
            return value
        _check_shell()
        try:
            return callback(context, param, value)
        except OSError as error:
            place = f"{error.filename}: " if error.filename else ""
            raise InvalidRequestError(
                f"cannot install the completion: {place}{error.strerror}; run tmapi "
                "--show-completion and put its output where your shell reads it"
            ) from None

    run.is_explained = True  # type: ignore[attr-defined]
    return run


def _check_shell() -> None:
    """Refuse to go on where the shell is not known, as in a job of cron.

    Raises:
        InvalidRequestError: The shell is not one for which there is a completion.
    """
    try:
        from shellingham import ShellDetectionFailure, detect_shell  # noqa: PLC0415 - only these options need it
    except ImportError:  # Typer then takes the name of the shell as a value
        return
    try:
        shell = detect_shell()[0]
    except ShellDetectionFailure:
        shell = os.path.basename(os.environ.get("SHELL", "")) or "unknown"  # noqa: PTH119 - a name
    if shell not in _SHELLS:
        raise InvalidRequestError(
            f"there is no completion for the shell {shell}: run this in bash, zsh, fish or "
            f"PowerShell, or run {COMPLETION_VARIABLE}=source_bash tmapi"
        )
