"""Sessions are not asked again of a worker that has refused one lately."""

from __future__ import annotations

from tmapi_async import TMAPI
from tmapi_async.harvest.cluster.coordinator.account import make_accounts
from tmapi_async.harvest.cluster.coordinator.session_opener import SessionOpener


def opener():
    """Return an opener for one account of eight slots."""
    return SessionOpener(make_accounts([TMAPI("token", concurrency=8)]), None)


def test_a_worker_is_asked_once_in_half_a_minute():
    """A session that is being opened, or was refused, is not asked for again at once."""
    sessions = opener()
    assert [worker for _, worker in sessions.choose({"a"}, (), 0.0)] == ["a"]
    assert sessions.choose({"a"}, (), 29.0) == []
    assert [worker for _, worker in sessions.choose({"a"}, (), 31.0)] == ["a"]


def test_all_refuse_only_if_every_worker_was_asked():
    """A worker that joins may accept, and without workers none refuses."""
    sessions = opener()
    sessions.choose({"a", "b"}, (), 0.0)
    assert sessions.all_refuse({"a", "b"}, 1.0)
    assert not sessions.all_refuse({"a", "b", "c"}, 1.0)
    assert not sessions.all_refuse(set(), 1.0)
    assert not sessions.all_refuse({"a", "b"}, 31.0)


def test_a_worker_whose_line_is_down_is_avoided_for_some_minutes():
    """It would take listings that nobody can walk there; later it is tried again."""
    sessions = opener()
    sessions.avoid(0, "a", 0.0)
    assert sessions.choose({"a"}, (), 599.0) == []
    assert [worker for _, worker in sessions.choose({"a"}, (), 601.0)] == ["a"]
