"""Errors of the network: no usable reply came."""

from __future__ import annotations

from .base_error import Recovery, TMAPIError


class TransportError(TMAPIError):
    """No usable reply came."""

    recovery = Recovery.RETRY
    kind = "transport"


class ConnectionFailedError(TransportError):
    """The connection could not be made, or broke before the reply was complete."""

    kind = "connection"
    meaning = "the connection failed"
    advice = "check the base URL and the network"


class UnreachableError(ConnectionFailedError):
    """No connection could be made: nothing was sent, and the budget is not charged."""


class LocalLimitError(UnreachableError):
    """This machine has no room for another connection: nothing was sent.

    The limit of open files, of memory or of local ports is reached. Fewer requests at once help, so
    the client reacts as to a refusal.
    """

    recovery = Recovery.BACK_PRESSURE
    kind = "local"
    meaning = "this machine has no room for another connection"
    advice = "lower --concurrency, or allow more open files (ulimit -n)"


class OutageError(TransportError):
    """The API did not answer, or nothing that could be understood, for too long."""

    recovery = Recovery.HALT
    kind = "outage"
    meaning = "the API has not answered"
    advice = "run the same command again to continue, or wait longer (--wait)"


class RedirectError(TransportError):
    """The server redirects to another address. Not followed: the token would go there too."""

    recovery = Recovery.GIVE_UP
    kind = "redirect"
    meaning = "the server redirects to another address, which is not followed"
    advice = "set the base URL to the address that serves the API"


class CertificateError(TransportError):
    """The server's TLS certificate could not be verified. Verification is never turned off."""

    recovery = Recovery.HALT
    kind = "certificate"
    meaning = "the server's certificate could not be verified"
    advice = (
        "if your network or proxy has a CA of its own, name the file of its certificate in the "
        "environment variable SSL_CERT_FILE, or pass a connector with your own SSL context; else "
        "try another host of the API (--base-url https://api.tmapi.io); http://api.tmapi.top "
        "works without TLS but exposes the token to the network"
    )


class DeadlineError(TransportError):
    """The reply was not complete within the time-out, counted from when the gate was passed."""

    kind = "timeout"
    meaning = "no complete reply within the time-out"
    advice = "allow more time (--timeout), or run the same command again later"


class MalformedReplyError(TransportError):
    """The reply cannot be used.

    It is not JSON, has no code, or is a success without the expected shape.
    """

    kind = "malformed"
    meaning = "the reply cannot be understood"
    advice = "run the same command again later; if this error comes again, upgrade tmapi-async"


class MixedUpReplyError(MalformedReplyError):
    """The reply is a success that echoes another page, category, keyword, ... than requested.

    Its rows are not used: they belong to another request. IDs and page numbers are compared in
    every reply; texts and prices once the endpoint has echoed them faithfully.
    """

    kind = "mixed-up"
    meaning = "the reply belongs to another request"
    advice = (
        "run the same command again; if this error comes again, check the proxies in between, and "
        "tell the support of TMAPI"
    )

    @property
    def label(self) -> str:
        """Short key for counting. Its code 200 is that of a page that was delivered."""
        return self.kind


class StaleReplyError(TransportError):
    """The reply comes from a cache in between, which has kept it for too long.

    It is an old failure, which is waited for until the cache has forgotten it, or a page that is
    older than the run of a harvest that asks for all pages again.
    """

    recovery = Recovery.BACK_PRESSURE
    kind = "stale"
    meaning = "a cache in between answered with an old reply"
    advice = (
        "let the proxy in between pass the API's replies without keeping them, or run the same "
        "command again when the cache has forgotten them"
    )


class RequestRefusedError(TransportError):
    """The server, or a proxy in between, refuses such requests: the status says so without a code.

    The statuses are 400, 405, 407 (a proxy asks for a login), 413 and others that the same request
    would get again.
    """

    recovery = Recovery.GIVE_UP
    kind = "refused"
    meaning = "the server or a proxy in between does not accept the request"
    advice = "check the base URL, and the proxy and its login if there is one"


class ReplyTooLargeError(TransportError):
    """The reply is too large to be read or decoded: by its bytes, its rows or its values.

    A reply has at most `max_body` bytes, 10,000 rows and 500,000 values. The event loop waits for
    each reply to be decoded, and its memory is bounded.
    """

    recovery = Recovery.GIVE_UP
    kind = "too-large"
    meaning = "the reply is too large"
    advice = "if you expect longer replies, raise max_body; the limits of rows and values are fixed"
