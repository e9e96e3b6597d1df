"""A session's lease is renewed by news alone."""

from __future__ import annotations

from tmapi_async import TMAPI
from tmapi_async.harvest.cluster import protocol
from tmapi_async.harvest.cluster.coordinator.account import LEASE
from tmapi_async.harvest.cluster.worker.worker_session import WorkerSession
from tmapi_async.limits.shares.slot_share import SlotShare


class IdleCrawler:
    """A crawler that has nothing to do."""

    def pump(self):
        """Do nothing."""


async def test_an_old_acknowledgement_does_not_renew_the_lease():
    """A lease runs from the session's own report, not from when its answer is read."""
    api = TMAPI("token")
    request = protocol.SessionRequest("session 1", 0, "digest", None, api.settings, False, LEASE)
    session = WorkerSession(request, "token", None, lambda: 0)
    gate, crawler = session.gate, IdleCrawler()
    first_end = gate.lease_end
    session.handle(SlotShare(1, 4), crawler)
    session.handle(protocol.Acknowledgement(0, first_end - LEASE - 60), crawler)
    assert gate.lease_end == first_end
    assert gate.share.slots == 4
    session.handle(protocol.Acknowledgement(0, first_end + 1), crawler)
    assert gate.lease_end == first_end + 1 + LEASE
