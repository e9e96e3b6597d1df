"""Messages between the coordinator and a session show no token."""

from __future__ import annotations

import pickle

from tmapi_async import TMAPI
from tmapi_async.harvest.cluster import protocol
from tmapi_async.harvest.cluster.worker.plugin import SessionPlugin


def test_messages_do_not_show_the_token(canary):
    """Neither the message that holds it, nor the first one, nor the plugin."""
    api = TMAPI(canary.token)
    request = protocol.SessionRequest("session 1", 0, "digest", None, api.settings, False, 30.0)
    objects = [protocol.TokenMessage(canary.token), request, SessionPlugin(), api]
    assert all(canary.absent_from(repr(thing)) for thing in objects)
    assert canary.absent_from(protocol.encode(request))
    assert canary.absent_from(pickle.dumps(SessionPlugin()))
