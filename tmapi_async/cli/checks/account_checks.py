"""Checks of an account: its token, its balance by one request, and its learned limit."""

from __future__ import annotations

import os
import time
from pathlib import Path

from tmapi_async.api.endpoints import CATEGORY_INFO
from tmapi_async.api.listings import describe
from tmapi_async.cli.options.connection_options import ConnectionOptions
from tmapi_async.cli.tables import format_duration
from tmapi_async.client.client import TMAPI
from tmapi_async.errors import (
    AuthenticationError,
    BalanceError,
    ConcurrencyError,
    RateLimitError,
    TMAPIError,
)
from tmapi_async.errors.quantities import quantity
from tmapi_async.limits.budget import Budget
from tmapi_async.limits.sharing.limit_memory import memory_path, recall
from tmapi_async.limits.sharing.remembered_limit import start_width
from tmapi_async.limits.sharing.runtime_folder import account_name, runtime_folder
from tmapi_async.transport.retry import RetryPolicy

from .finding import Finding

_ONCE = RetryPolicy(max_attempts=1, max_billed=1, max_unreachable=1, patience=0.0)


def check_token_place(connection: ConnectionOptions, accounts: int) -> Finding:
    """Return the finding about the place that the token comes from.

    Args:
        connection: Account, server and limits.
        accounts: Number of accounts.
    """
    if connection.sandbox:
        return Finding("token", "fine", "that of the sandbox")
    if connection.token is not None:
        text = "from --token, which other users of this machine can see in the process list"
        return Finding("token", "warning", text, "set TMAPI_TOKEN, or use --token-file")
    if connection.token_file is None:
        return Finding("token", "fine", "from the environment variable TMAPI_TOKEN")
    file = connection.token_file
    text = f"from {file}, {quantity(accounts, 'account')}"
    if os.name == "posix" and Path(file).expanduser().stat().st_mode & 0o077:
        return Finding(
            "token", "warning", f"{text}; other users can read the file", f"run chmod 600 {file}"
        )
    return Finding("token", "fine", text)


def single_request_options() -> dict[str, object]:
    """Return the options of a client that sends one request at most."""
    return {"retry": _ONCE, "wait": 0.0, "max_requests": Budget(1), "lookahead": "off"}


async def check_account(api: TMAPI, label: str) -> Finding:
    """Send one request and return the finding about token and balance.

    Args:
        api: An open client, made with `single_request_options`.
        label: Name of the account for the finding.
    """
    began = time.monotonic()
    try:
        await api.walk(describe(CATEGORY_INFO, {}))
    except (AuthenticationError, BalanceError) as error:
        return Finding(label, "failed", error.reason, error.advice, refused=True)
    except (ConcurrencyError, RateLimitError) as error:
        text = f"the account is busy at this moment ({error.reason})"
        return Finding(label, "warning", text, "a harvest waits for its turn")
    except TMAPIError as error:
        return Finding(label, "failed", error.reason, error.advice)
    seconds = time.monotonic() - began
    return Finding(label, "fine", f"token and balance were accepted, in {1000 * seconds:.0f} ms")


def check_limit(api: TMAPI, now: float) -> Finding:
    """Return the finding about the limit that earlier processes of the account have learned.

    Args:
        api: A client of the account.
        now: Seconds since 1970.
    """
    learned = recall(account_name(api.reveal_token(), api.host))
    if learned is None:
        text = "nothing is known yet: the first harvest finds out how many requests at once work"
        return Finding("limit", "fine", text)
    width = start_width(learned, now)
    age = format_duration(max(0.0, now - learned.learned_at))
    text = f"{quantity(learned.width, 'request')} at once, learned {age} ago"
    begins = "" if width == learned.width else f"; the next process begins with {width:,}"
    return Finding("limit", "fine", f"{text}{begins}")


def check_sharing() -> Finding:
    """Return the finding about the folders in which the processes of a machine share limits."""
    try:
        folder = runtime_folder()
    except OSError as error:
        text = f"processes of this machine cannot share a limit ({error})"
        return Finding("sharing", "warning", text, "set TMAPI_RUNTIME_DIR to a folder of yours")
    try:
        memory = memory_path()
    except OSError as error:
        text = f"the learned limit cannot be kept: {error}"
        return Finding("sharing", "warning", text, "set TMAPI_CACHE_DIR to a folder of yours")
    place = next(path for path in (memory, *memory.parents) if path.exists())
    if not os.access(place, os.W_OK):
        text = f"the learned limit cannot be kept in {memory}"
        return Finding("sharing", "warning", text, "set TMAPI_CACHE_DIR to a folder of yours")
    return Finding("sharing", "fine", f"by sockets in {folder}; limits are kept in {memory}")
