"""What can go wrong with an export, each with what to do about it."""

from __future__ import annotations

from ..errors import InvalidRequestError, Recovery, TMAPIError


class ExportError(TMAPIError):
    """An export could not be ended; every destination is as it was before, or is named as done."""

    recovery = Recovery.HALT
    kind = "export"


class ExportRefusedError(ExportError, InvalidRequestError):
    """What is asked for cannot be done; it was refused before the first row was written."""

    kind = "export-refused"
