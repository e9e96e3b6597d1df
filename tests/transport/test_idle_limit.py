"""Idle times that are learned from lost connections."""

from __future__ import annotations

from tmapi_async.transport.idle_limit import IdleLimit


def test_a_loss_limits_the_idle_time() -> None:
    """After a loss, connections of that age are not used, and nor are somewhat younger ones."""
    limit = IdleLimit()
    assert limit.allows(1000, 0)
    limit.lost(10, 0)
    assert not limit.allows(10, 1)
    assert not limit.allows(9, 1)
    assert limit.allows(4, 1)


def test_an_age_that_has_worked_stays_allowed() -> None:
    """A loss at an age at which replies came has another reason, such as a restarted server."""
    limit = IdleLimit()
    limit.succeeded(20)
    limit.lost(10, 0)
    assert limit.allows(19, 1)
    limit.lost(30, 0)
    assert limit.allows(19, 1)
    assert not limit.allows(21, 1)


def test_a_busy_pool_learns_nothing() -> None:
    """Connections that are hardly idle are lost for another reason, and reuse must go on."""
    limit = IdleLimit()
    limit.lost(0.005, 0)
    assert limit.allows(0.005, 1)


def test_dropped_connections_are_not_used_again() -> None:
    """A drop concerns the connections that are idle at that time, and no later ones."""
    limit = IdleLimit()
    limit.drop(10)
    assert limit.is_learned
    assert not limit.allows(0, 10)
    assert not limit.allows(2, 12)
    assert limit.allows(1.9, 12)
    assert limit.allows(1000, 2000)


def test_a_limit_is_lifted_and_lasts_longer_each_time() -> None:
    """A limit that was learned by mistake ends; one that is right costs fewer and fewer losses."""
    limit = IdleLimit()
    limit.lost(10, 0)
    assert not limit.allows(10, 59)
    assert limit.allows(10, 60)
    limit.lost(10, 60)
    assert not limit.allows(10, 179)
    assert limit.allows(10, 180)
    now = 180.0
    for _ in range(20):
        limit.lost(10, now)
        now += 3600
        assert limit.allows(10, now)
