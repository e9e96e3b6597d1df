"""How a client reaches the API, in one object that can be handed on: to a session, to a worker."""

from __future__ import annotations

import msgspec

from tmapi_async.crawl.loop_guard import GuardPolicy
from tmapi_async.limits.gate import Gate
from tmapi_async.transport.observers import Observer
from tmapi_async.transport.retry import RetryPolicy
from tmapi_async.transport.session import Auth, Connector, Session


class ClientSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about a client but its token, its gate and its connector.

    Attributes:
        base_url: Where the API is served.
        auth: How the token is sent.
        timeout: Seconds for one request.
        max_body: Longest reply accepted, in bytes, decompressed.
        retry: How often and how long to try.
        guard: When a listing counts as endless.
        lookahead: Pages asked for ahead; None is "auto".
        trust_env: Take proxies from the environment.
    """

    base_url: str
    auth: Auth
    timeout: float
    max_body: int
    retry: RetryPolicy
    guard: GuardPolicy
    lookahead: int | None
    trust_env: bool

    def session(
        self,
        token: str,
        gate: Gate,
        connector: Connector | None = None,
        observer: Observer | None = None,
    ) -> Session:
        """A session of these settings; open it."""
        return Session(
            token,
            gate=gate,
            base_url=self.base_url,
            auth=self.auth,
            timeout=self.timeout,
            max_body=self.max_body,
            policy=self.retry,
            connector=connector,
            trust_env=self.trust_env,
            observer=observer,
        )
