"""Errors of the way to the server and back: no usable reply came."""

from __future__ import annotations

from .base import Recovery, TMAPIError


class TransportError(TMAPIError):
    """No usable reply came."""

    recovery = Recovery.RETRY
    kind = "transport"


class ConnectionFailedError(TransportError):
    """The connection could not be made, or broke before the reply was whole."""

    kind = "connection"
    meaning = "the connection failed"
    advice = "check the base URL and the network"


class RedirectError(TransportError):
    """The server redirects elsewhere. Not followed: the token would go to a host nobody chose."""

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
        "another host may serve the API (--base-url https://api.tmapi.io); a custom CA goes into a "
        "connector of your own; http://api.tmapi.top works without TLS but exposes the token to "
        "the network"
    )


class DeadlineError(TransportError):
    """The reply was not whole within the time-out, counted from when the gate was passed."""

    kind = "timeout"
    meaning = "no whole reply within the time-out"


class MalformedReplyError(TransportError):
    """The reply is not JSON, has no code, is a success without the expected shape, or another page.

    Another page in the place of the one asked for is told where the endpoint's replies have shown
    that they tell their own number.
    """

    kind = "malformed"
    meaning = "the reply cannot be understood"


class ReplyTooLargeError(TransportError):
    """The reply, decompressed, is longer than the limit; reading was broken off."""

    recovery = Recovery.GIVE_UP
    kind = "too-large"
    meaning = "the reply is too large"
    advice = "raise max_body if such replies are expected"
