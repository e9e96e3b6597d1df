"""Options of a client, and its settings in one object that a worker can be given."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypeAlias, TypedDict

import msgspec

from tmapi_async.crawl.loop_guard import GuardPolicy
from tmapi_async.errors import InvalidRequestError
from tmapi_async.errors.argument_checks import check_type
from tmapi_async.errors.shown_value import show_value
from tmapi_async.limits.budget import Budget
from tmapi_async.limits.gate import Gate
from tmapi_async.limits.learning import START, LearningController
from tmapi_async.limits.rate import RateLimiter
from tmapi_async.transport.observers import Observer
from tmapi_async.transport.retry import RetryPolicy
from tmapi_async.transport.session import Auth, Connector, Session

from .inputs import Lookahead, check_above_zero, check_from_zero, check_whole, read_lookahead

Concurrency: TypeAlias = int | Literal["auto"]

DEFAULT_TIMEOUT = 60.0
"""Seconds, as the API document advises (code 499)."""

DEFAULT_MAX_BODY = 32 * 2**20
"""Bytes, decompressed."""


class ClientOptions(TypedDict, total=False):
    """Options of a client.

    Attributes:
        base_url: Address of the API; `https://api.tmapi.top` if left out.
        auth: Send the token as query field `apiToken` ("query") or as header `apikey` ("header").
        concurrency: Maximum number of requests in flight; "auto" learns how many the account may
            have.
        rate: Maximum number of requests a second, or None.
        timeout: Seconds for one request, from the moment the gate lets it through until its reply
            is read; 60 if left out.
        lookahead: "auto" requests pages ahead where slots would idle, "off" never does, N keeps N
            pages ahead.
        max_requests: Maximum number of requests that this client sends, retries included; or None.
            A [`Budget`][tmapi_async.Budget] is shared by all clients that it is given to.
        retry: Number and duration of attempts.
        guard: Limits beyond which a listing counts as endless.
        max_body: Longest reply accepted, in bytes, decompressed; 32 MiB if left out.
        connector: An aiohttp connector of yours (a custom CA, a proxy, ...); you close it.
        trust_env: Take proxies from the environment. `~/.netrc` is never read.
        observer: Receives every attempt and page; see [`Observer`][tmapi_async.Observer].
        wait: Seconds for which the client waits for an API that does not answer, or nothing that
            can be understood, before all work ends with
            [`OutageError`][tmapi_async.OutageError]. One request at a time is sent meanwhile, every
            few seconds. None waits about a minute, as long as the pauses of the retry policy, and
            only for an API that has answered before; 0 leaves it to the retries of each page.
        shared: Share one gate with the other processes of this user on this machine that use the
            same account at the same host. False keeps this client apart.
        cache: Place of a page cache: the path of a file, which several processes may share; the
            path of a journal, which is only read; or the address of a Redis or Valkey server, such
            as `redis://HOST:6379/0`. None keeps no pages.
        max_age: Seconds up to which a page is taken from the cache; an hour if left out. 0 requests
            every page anew, and keeps it. A call may have a value of its own.
        stale_if_error: True, or the seconds up to which a page is taken from the cache if the API
            fails. False never does that.
        cache_bytes: Bytes of a cache file; above that its oldest pages are deleted. 1 GiB if left
            out.
    """

    base_url: str
    auth: Auth
    concurrency: Concurrency
    rate: float | None
    timeout: float
    lookahead: Lookahead
    max_requests: int | Budget | None
    retry: RetryPolicy | None
    guard: GuardPolicy | None
    max_body: int
    connector: Connector | None
    trust_env: bool
    observer: Observer | None
    wait: float | None
    shared: bool
    cache: str | Path | None
    max_age: float | None
    stale_if_error: float | bool
    cache_bytes: int | None


class ClientSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Settings of a client, without its token, gate and connector.

    Attributes:
        base_url: Address of the API.
        auth: Place of the token in a request: "query" or "header".
        timeout: Seconds for one request.
        max_body: Longest reply accepted, in bytes, decompressed.
        retry: Number and duration of attempts.
        guard: Limits beyond which a listing counts as endless.
        lookahead: Number of pages requested ahead; None is "auto".
        trust_env: Take proxies from the environment. `~/.netrc` is never read.
        wait: Seconds to wait for an API that does not answer, or None.
    """

    base_url: str
    auth: Auth
    timeout: float
    max_body: int
    retry: RetryPolicy
    guard: GuardPolicy
    lookahead: int | None
    trust_env: bool
    wait: float | None

    def session(
        self,
        token: str,
        gate: Gate,
        connector: Connector | None = None,
        observer: Observer | None = None,
    ) -> Session:
        """Return a session with these settings; it is not open yet."""
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
            wait=self.wait,
        )


def make_settings(
    *,
    base_url: str,
    auth: Auth,
    timeout: float,
    max_body: int,
    retry: RetryPolicy | None,
    guard: GuardPolicy | None,
    lookahead: Lookahead,
    trust_env: bool,
    wait: float | None,
) -> ClientSettings:
    """Check options of a client, and return its settings.

    Args:
        base_url: Address of the API, which was checked.
        auth: See [`ClientOptions`][tmapi_async.ClientOptions] for this and the others.
        timeout: Seconds.
        max_body: Bytes.
        retry: None for the usual policy.
        guard: None for the usual policy.
        lookahead: "auto", "off" or a number of pages.
        trust_env: True or False.
        wait: Seconds, or None.

    Raises:
        InvalidRequestError: An option makes no sense; the message says which and why.
    """
    if not isinstance(auth, str) or auth not in ("query", "header"):
        raise InvalidRequestError(f"auth must be 'query' or 'header', not {show_value(auth)}")
    check_above_zero("timeout", timeout)
    check_whole("max_body", max_body)
    check_type("retry", retry, RetryPolicy, "a RetryPolicy")
    check_type("guard", guard, GuardPolicy, "a GuardPolicy")
    check_type("trust_env", trust_env, bool, "True or False", optional=False)
    if wait is not None:
        check_from_zero("wait", wait)
    return ClientSettings(
        base_url=base_url,
        auth=auth,
        timeout=timeout,
        max_body=max_body,
        retry=retry or RetryPolicy(),
        guard=guard or GuardPolicy(),
        lookahead=read_lookahead(lookahead),
        trust_env=trust_env,
        wait=wait,
    )


def make_gate(
    ceiling: int | None,
    concurrency: Concurrency,
    rate: float | None,
    max_requests: int | Budget | None,
) -> Gate:
    """Return the gate of a client: its slots up to a ceiling, its rate limiter and its budget."""
    return Gate(
        LearningController(ceiling, start=START if concurrency == "auto" else None),
        rate_limiter=None if rate is None else RateLimiter(rate),
        budget=max_requests if isinstance(max_requests, Budget) else Budget(max_requests),
    )


def max_width(concurrency: Concurrency, connector: Connector | None) -> int | None:
    """Return the gate's maximum width: the caller's, but not above that of their connector."""
    if concurrency != "auto":
        check_whole("concurrency", concurrency)
    limits = [] if concurrency == "auto" else [concurrency]
    if connector is not None:
        # An attempt that waits for a connection would be measured as a slow reply. All attempts go
        # to one host. 0 is no limit.
        limits += [most for most in (connector.limit, connector.limit_per_host) if most]
    return min(limits, default=None)
