"""A session that sends nothing is given up."""

from __future__ import annotations

from tmapi_async.harvest.cluster.coordinator.account import LEASE
from tmapi_async.harvest.cluster.coordinator.channel import Channel
from tmapi_async.harvest.cluster.worker.worker_session import HEARTBEAT
from tmapi_async.limits.clocks import lease_clock


class Connection:
    """A connection that only notes that it was cut."""

    cut = False

    def abort(self):
        """Cut the connection."""
        self.cut = True


async def test_a_session_without_reports_is_given_up_after_its_lease():
    """Not before a lease has passed; until then its lease is renewed each second."""
    connection = Connection()
    channel, now = Channel("session 1", "tcp://w", 0, connection, LEASE), lease_clock()
    channel.check_lease(now + HEARTBEAT / 2)
    assert not channel.write_due
    channel.check_lease(now + HEARTBEAT + 0.1)
    assert channel.write_due
    assert not connection.cut
    channel.check_lease(now + LEASE + 0.1)
    assert (connection.cut, channel.closed) == (True, True)
