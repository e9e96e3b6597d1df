"""Messages between the coordinator and a worker session.

Every message is encoded here to bytes, so that `distributed` sees one opaque frame.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from tmapi_async.api.request_counts import RequestCounts
from tmapi_async.client.settings import ClientSettings
from tmapi_async.crawl.outcomes import Ending
from tmapi_async.journal.records import PageRecord
from tmapi_async.limits.outage_queue import OutageReport
from tmapi_async.limits.shares.slot_share import SlotShare

from .serialized_error import SerializedError
from .token_source import TokenSource

# -- from the coordinator to a session


class SessionRequest(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """First message on a channel: open a session.

    `distributed` logs this message at its debug level, so it holds no secret.

    Attributes:
        session: Name of the session.
        account: Number of the account, from 0.
        digest: Digest of the account's token.
        token_source: Place where the worker finds the token; None if it is sent next.
        settings: Settings of the client: address, time-outs, retries, look-ahead.
        rate_limited: True if the account has a rate limit.
        lease: Seconds that the session may go on after its last report that the coordinator read.
    """

    session: str
    account: int
    digest: str
    token_source: TokenSource | None
    settings: ClientSettings
    rate_limited: bool
    lease: float


class TokenMessage(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Token of the account. Nothing logs the messages that follow the first one."""

    token: str

    def __repr__(self) -> str:
        return "TokenMessage()"


class Acknowledgement(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """State of the coordinator; also renews the lease of the session.

    Attributes:
        durable_pages: Number of the session's pages that are durable, since it began.
        reported_at: Time of the session's own clock of leases in the last report that the
            coordinator read. The lease runs from this time, and not from when this message is
            read: a session that was suspended for long finds old messages first.
    """

    durable_pages: int
    reported_at: float


class DictionaryMessage(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Dictionary to compress the bodies of an endpoint with from now on."""

    endpoint: str
    number: int | None
    content: bytes | None


class FailListing(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """End a listing as failed: its pages show that the API has changed."""

    visit: int
    error: SerializedError


class BatchesSubmitted(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Number of batches sent to the session: the tasks of all but the last may make room."""

    count: int


class FinishSession(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """End when all listings have ended: no more batches come."""


class StopSession(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """End when the requests on the wire are answered; send no new ones."""


MessageToSession: TypeAlias = (
    TokenMessage
    | SlotShare
    | Acknowledgement
    | DictionaryMessage
    | FailListing
    | BatchesSubmitted
    | FinishSession
    | StopSession
)


# -- from a session to the coordinator


class SessionAccepted(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """First answer: the session is open.

    Attributes:
        version: Version of this package on the worker.
        python: Version of Python on the worker, as `"3.11"`.
        abandoned_slots: Slots of the account that earlier sessions of this worker left busy at
            the server.
    """

    version: str
    python: str
    abandoned_slots: int


class SessionRefused(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """First answer: the worker cannot open the session, with the reason."""

    reason: str


class ListingEnded(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Outcome of a listing; the fields are those of `ListingOutcome`."""

    visit: int
    ending: Ending
    pages: int
    items: int
    unique: int
    duplicates: int
    rejects: int
    error: SerializedError | None = None


class PageFailed(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Page that failed for good."""

    visit: int
    number: int
    error: SerializedError


class SeamLooked(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Result of requesting a stored page once more; the fields are those of `Look`.

    Attributes:
        page: The page if it shows rows that the visit lacks, or None.
    """

    visit: int
    number: int
    page: PageRecord | None
    left: int
    came: int
    shifted: str | None
    last: bool


class SessionReport(msgspec.Struct, frozen=True, tag=True, array_like=True, gc=False):
    """Results of a session since its last report, and its state.

    Attributes:
        clock: Monotonic clock of the worker.
        lease_clock: Clock of leases of the worker, which goes on while its machine sleeps.
        epoch: Epoch of the share in force; limits that this share took away are no longer used.
        in_use: Slots in use, those of abandoned requests included.
        at_server: Attempts at the server.
        spent: Attempts sent since the session began.
        allowed: Attempts allowed, as far as the session could give some back; or None.
        counts: Requests counted by the session since it began.
        events: Events of its gate, packed (see `limits/shares/event_merge`).
        pages: Pages in the order they came, each after the number of its visit.
        failed_pages: Pages that failed for good.
        ended: Listings that have ended; their pages are in this report or an earlier one.
        looked: Results of looking at seams; later pages of these listings are in this report or a
            later one.
        outage: Report of an outage, if the API does not answer this session.
    """

    clock: float
    lease_clock: float
    epoch: int
    in_use: int
    at_server: int
    spent: int
    allowed: int | None
    counts: RequestCounts
    events: bytes = b""
    pages: list[tuple[int, PageRecord]] = []
    failed_pages: list[PageFailed] = []
    ended: list[ListingEnded] = []
    looked: list[SeamLooked] = []
    outage: OutageReport | None = None


class SessionEnded(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Last message: the session has ended.

    Attributes:
        error: Error that ended the account, or None.
        crash: Name of an unexpected exception, or None.
    """

    error: SerializedError | None = None
    crash: str | None = None


MessageFromSession: TypeAlias = SessionAccepted | SessionRefused | SessionReport | SessionEnded

encode = msgspec.msgpack.Encoder().encode
decode_request = msgspec.msgpack.Decoder(SessionRequest).decode
decode_for_session = msgspec.msgpack.Decoder(list[MessageToSession]).decode
decode_from_session = msgspec.msgpack.Decoder(MessageFromSession).decode
