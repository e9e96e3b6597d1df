"""Opens sessions on workers, and remembers the workers that refused one."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Sequence

from distributed import Client

from tmapi_async.errors import WorkerRefusedError
from tmapi_async.harvest.cluster.token_source import TokenSource

from .account import ClusterAccount
from .channel import Channel, open_session
from .placement import new_sessions

log = logging.getLogger("tmapi_async")

_RETRY_AFTER = 30.0
"""Seconds until the next try to open a session on a worker that refused or was unreachable."""


_AVOID_FOR = 600.0
"""Seconds until the next try on a worker that the API did not answer."""


class SessionOpener:
    """Opens sessions so that every account and every worker has work.

    Args:
        accounts: Accounts of the harvest.
        token_source: Place where workers find the tokens; None sends them.

    Attributes:
        refusal: Last refusal of a worker, or None.
    """

    def __init__(
        self, accounts: Sequence[ClusterAccount], token_source: TokenSource | None
    ) -> None:
        self.refusal: WorkerRefusedError | None = None
        self._accounts = accounts
        self._token_source = token_source
        self._not_before: dict[tuple[int, str], float] = {}
        self._opened = 0

    def choose(
        self, workers: Collection[str], channels: Iterable[Channel], now: float
    ) -> list[tuple[ClusterAccount, str]]:
        """Return the sessions to open now, as pairs of account and worker address."""
        widths = {
            account.number: account.limits.learned_width
            for account in self._accounts
            if account.stopped is None
        }
        sessions = {channel.name: (channel.account, channel.worker) for channel in channels}
        pairs = []
        for number, worker in new_sessions(widths, workers, sessions):
            if self._not_before.get((number, worker), 0.0) <= now:
                self._not_before[number, worker] = now + _RETRY_AFTER
                pairs.append((self._accounts[number], worker))
        return pairs

    def avoid(self, account: int, worker: str, now: float) -> None:
        """Open no session of an account on a worker for some minutes: its line is down."""
        self._not_before[account, worker] = now + _AVOID_FOR

    def all_refuse(self, workers: Collection[str], now: float) -> bool:
        """Return True if there are workers, and each has refused a session lately."""
        refusing = {worker for (_, worker), until in self._not_before.items() if until > now}
        return bool(workers) and refusing.issuperset(workers)

    async def open(
        self, client: Client, account: ClusterAccount, worker: str
    ) -> tuple[Channel, int] | None:
        """Open a session. Logs the reason and returns None if that fails.

        Returns:
            The channel, and the slots that earlier sessions left busy at the server.
        """
        self._opened += 1
        suffix = f", account {account.number + 1}" if len(self._accounts) > 1 else ""
        name = f"session {self._opened}{suffix}"
        request, token = account.session_request(name, self._token_source)
        security = client.security.get_connection_args("client")
        try:
            comm, abandoned_slots = await open_session(worker, request, token, **security)
        except WorkerRefusedError as error:
            self.refusal = error
            log.warning("%s", error)
            return None
        except (OSError, TimeoutError) as error:
            log.info("%s cannot be reached: %s", worker, error)
            return None
        self._not_before.pop((account.number, worker), None)
        return Channel(name, worker, account.number, comm, request.lease), abandoned_slots
