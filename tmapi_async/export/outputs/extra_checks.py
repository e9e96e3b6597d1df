"""Checks that the modules of an extra are installed."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable

from tmapi_async.errors import ExportRefusedError
from tmapi_async.errors.extras import install_command


def check_extra(user: str, extra: str, modules: Iterable[str]) -> None:
    """Check that the modules of an extra are installed.

    Args:
        user: User of the modules, for the message.
        extra: Name of the extra.
        modules: Modules that it brings.

    Raises:
        ExportRefusedError: A module is missing; the message says how to install it.
    """
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        verb = "is" if len(missing) == 1 else "are"
        raise ExportRefusedError(
            f"{user} needs {' and '.join(missing)}, which {verb} not installed: "
            f"run {install_command(extra)}"
        )
