"""Engine for one account in this process: one crawler."""

from __future__ import annotations

from tmapi_async.api.request_counts import RequestCounts
from tmapi_async.client.client import TMAPI
from tmapi_async.client.inputs import Lookahead
from tmapi_async.crawl.crawler import Crawler
from tmapi_async.crawl.loop_guard import GuardPolicy
from tmapi_async.harvest.recorder import Recorder
from tmapi_async.journal.journal import Journal

from .base import Driver, GateTotals, sum_gates


class SingleEngine:
    """Engine for one account in this process.

    Args:
        api: The open client of the account.
    """

    def __init__(self, api: TMAPI) -> None:
        self._api = api
        self._crawler: Crawler | None = None

    @property
    def host(self) -> str:
        """Host and port of the API."""
        return self._api.host

    def create_driver(
        self,
        recorder: Recorder,
        journal: Journal,  # noqa: ARG002 - other engines need it
        *,
        lookahead: Lookahead | None,
        guard: GuardPolicy | None,
    ) -> Driver:
        """Return a crawler whose sink is the recorder."""
        self._crawler = self._api.core.crawl(
            recorder.tasks(),
            recorder,
            lookahead=lookahead,
            guard=guard,
        )
        return self._crawler

    def gate_totals(self) -> GateTotals:
        """Return the figures of the gate now."""
        return sum_gates([self._api])

    def request_counts(self) -> RequestCounts:
        """Return the requests counted by the crawler so far."""
        return RequestCounts() if self._crawler is None else self._crawler.request_counts()
