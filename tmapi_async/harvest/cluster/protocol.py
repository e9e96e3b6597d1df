"""What the two ends of a line say to each other.

Every message is encoded here, to bytes, so that what `distributed` sees of it is one opaque frame.
"""

from __future__ import annotations

from array import array
from typing import TypeAlias

import msgspec

from tmapi_async import errors
from tmapi_async.api.listings import Listing
from tmapi_async.api.request_counts import RequestCounts
from tmapi_async.client.settings import ClientSettings
from tmapi_async.crawl.outcomes import Ending, ListingTask
from tmapi_async.errors import TMAPIError
from tmapi_async.journal.records import PageRecord

from .token_source import TokenSource


class SerializedError(msgspec.Struct, frozen=True, array_like=True):
    """An error of ours, to be made again at the other end.

    Attributes:
        kind: Name of its class.
        fatal: Whether it ends all work though its class does not.
        where: Endpoint, listing and page, or None.
    """

    kind: str
    message: str
    code: int | None = None
    status: int | None = None
    retry_after: float | None = None
    fatal: bool = False
    attempts: int = 0
    where: tuple[str, str, int] | None = None

    @classmethod
    def of(cls, error: TMAPIError) -> SerializedError:
        """Write down an error."""
        located = error.endpoint and error.listing and error.page is not None
        return cls(
            type(error).__name__,
            error.message,
            error.code,
            error.status,
            error.retry_after,
            error.fatal,
            error.attempts,
            (error.endpoint or "", error.listing or "", error.page or 0) if located else None,
        )

    def error(self) -> TMAPIError:
        """The error again; one whose class is not known here is a plain `TMAPIError`."""
        kind = getattr(errors, self.kind, None)
        kind = kind if isinstance(kind, type) and issubclass(kind, TMAPIError) else TMAPIError
        made = kind.__new__(kind)  # subclasses take other arguments, and need none of them here
        TMAPIError.__init__(
            made, self.message, code=self.code, status=self.status, retry_after=self.retry_after
        )
        made.fatal, made.attempts = self.fatal, self.attempts
        if self.where is not None:
            made.locate(*self.where, self.attempts)
        return made


# -- what a stretch holds: it goes through the scheduler, as the argument of a task


class TaskSpec(msgspec.Struct, frozen=True, array_like=True):
    """A listing to walk.

    Attributes:
        visit: Number of its visit; what comes back names it by that.
        held: Numbers of the pages held; `more` are those among them that say that more follows.
        seen: Item IDs on them, packed.
        rows: Rows on them.
    """

    visit: int
    endpoint: str
    params: tuple[tuple[str, str], ...]
    max_pages: int | None = None
    hint: int | None = None
    held: bytes = b""
    more: bytes = b""
    seen: bytes = b""
    rows: int = 0

    @classmethod
    def of(cls, visit: int, opening: ListingTask) -> TaskSpec:
        """Write down an opening."""
        listing, stored_pages = opening.listing, opening.stored_pages
        return cls(
            visit,
            listing.endpoint,
            listing.params,
            opening.max_pages,
            opening.hint,
            array("q", stored_pages).tobytes(),
            array("q", (number for number, more in stored_pages.items() if more)).tobytes(),
            array("q", opening.stored_ids).tobytes(),
            opening.stored_rows,
        )

    def opening(self) -> ListingTask:
        """The opening again."""
        more = set(_numbers(self.more))
        return ListingTask(
            listing=Listing(self.endpoint, self.params),
            max_pages=self.max_pages,
            hint=self.hint,
            stored_pages={number: number in more for number in _numbers(self.held)},
            stored_ids=_numbers(self.seen),
            stored_rows=self.rows,
        )


def _numbers(packed: bytes) -> array[int]:
    numbers = array("q")
    numbers.frombytes(packed)
    return numbers


class TaskBatch(msgspec.Struct, frozen=True, array_like=True):
    """Some listings for one seat: the argument of a task.

    Attributes:
        seat: Name of the seat they are for; another incarnation of the worker refuses them.
        number: Number of the stretch on that seat, from 1.
    """

    session: str
    number: int
    tasks: tuple[TaskSpec, ...]


# -- coordinator to seat


class SessionRequest(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """The first message; `distributed` logs it at its debug level, so no secret is in it.

    Attributes:
        seat: Name of the seat.
        account: Number of the account, from 0.
        digest: The account's digest.
        place: Where the worker finds the token; None if it is sent next.
        settings: How the API is reached.
        paced: Whether the account has a pace.
        lease: Seconds that the seat may go on after what the coordinator last heard of it.
    """

    session: str
    account: int
    digest: str
    token_source: TokenSource | None
    settings: ClientSettings
    paced: bool
    lease: float


class TokenMessage(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """The token, on a line whose messages nobody logs."""

    token: str

    def __repr__(self) -> str:
        return "Secret()"


class SlotShare(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """What a seat may use of its account from now on.

    Attributes:
        epoch: Grows with each share sent to the seat.
        slots: Attempts at the server at once.
        rate: Attempts a second; only where the account has a pace.
        allowed: Attempts in all since the seat began, or None without a limit.
    """

    epoch: int
    slots: int
    rate: float = 0.0
    allowed: int | None = None


class Acknowledgement(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """What the coordinator has of the seat; also keeps its lease alive.

    Attributes:
        pages: So many of its pages are durable, since it began.
        heard: The seat's own clock in the last report that has come. The lease runs from there, and
            not from when this is read: a seat that stood still for long finds old messages first.
    """

    pages: int
    heard: float


class DictionaryMessage(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """What the bodies of an endpoint are compressed with from now on."""

    endpoint: str
    number: int | None
    content: bytes | None


class FailListing(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """End a listing as failed: its pages show that the API has changed."""

    visit: int
    failure: SerializedError


class BatchesSubmitted(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """So many stretches were sent to the seat: the tasks before the last may make room."""

    batches: int


class FinishSession(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """No more stretches come: say good-bye when all listings have ended."""


class StopSession(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Ask for nothing more: say good-bye when what is on the wire has come."""


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


# -- seat to coordinator


class SessionAccepted(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """The seat is taken.

    Attributes:
        version: Version of this package on the worker.
        python: Version of Python on the worker, as `"3.11"`.
        haunted: Slots of the account that earlier seats of this worker left at the server.
    """

    version: str
    python: str
    abandoned_slots: int


class SessionRefused(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """The seat cannot be taken, and why."""

    reason: str


class ListingEnded(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """How a listing ended; as `ListingOutcome`."""

    visit: int
    ending: Ending
    pages: int
    items: int
    unique: int
    duplicates: int
    rejects: int
    failure: SerializedError | None = None


class PageFailed(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A page that could not be had."""

    visit: int
    number: int
    failure: SerializedError


class SessionReport(msgspec.Struct, frozen=True, tag=True, array_like=True, gc=False):
    """What happened on a seat since its last report, and how it stands.

    Attributes:
        clock: The worker's monotonic clock.
        epoch: Epoch of the share in force; what it took away is not used any more.
        in_use: Slots taken, ghosts included.
        at_server: Attempts at the server.
        spent: Attempts sent, ever.
        allowed: Attempts allowed, as far as the seat could give some back; or None.
        counts: Requests counted by the session since it began.
        events: What its gate saw, packed (`replay`).
        pages: Pages in the order they came, each after the number of its visit.
        missed: Pages that could not be had.
        ended: Listings that have ended, after their pages.
    """

    clock: float
    epoch: int
    in_use: int
    at_server: int
    spent: int
    allowed: int | None
    counts: RequestCounts
    events: bytes = b""
    pages: list[tuple[int, PageRecord]] = []
    missed: list[PageFailed] = []
    ended: list[ListingEnded] = []


class SessionEnded(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """The last message: the seat has ended.

    Attributes:
        failure: What ended its account, or None.
        crash: An error that is none of ours, as text, or None.
    """

    failure: SerializedError | None = None
    crash: str | None = None


MessageFromSession: TypeAlias = SessionAccepted | SessionRefused | SessionReport | SessionEnded

encode = msgspec.msgpack.Encoder().encode
decode_request = msgspec.msgpack.Decoder(SessionRequest).decode
decode_for_session = msgspec.msgpack.Decoder(list[MessageToSession]).decode
decode_from_session = msgspec.msgpack.Decoder(MessageFromSession).decode
