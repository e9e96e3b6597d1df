"""Errors of this package as plain data, to send them from one process to another."""

from __future__ import annotations

import msgspec

from tmapi_async import errors
from tmapi_async.errors import TMAPIError


class SerializedError(msgspec.Struct, frozen=True, array_like=True):
    """Error of this package, to be raised again at the other end of a channel.

    Attributes:
        kind: Name of the error's class.
        message: Text of the error.
        code: Code of the API, or None.
        status: HTTP status, or None.
        retry_after: Seconds that the server asks to wait, or None.
        fatal: True if the error ends all work though its class does not.
        attempts: Attempts made for the page.
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
        """Return the data of an error."""
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

    def restore(self) -> TMAPIError:
        """Return the error again; a plain `TMAPIError` if its class is not known here."""
        kind = getattr(errors, self.kind, None)
        kind = kind if isinstance(kind, type) and issubclass(kind, TMAPIError) else TMAPIError
        error = kind.__new__(kind)  # skips the subclasses' own arguments
        TMAPIError.__init__(
            error, self.message, code=self.code, status=self.status, retry_after=self.retry_after
        )
        error.fatal, error.attempts = self.fatal, self.attempts
        if self.where is not None:
            error.locate(*self.where, self.attempts)
        return error
