"""Log records as JSON: one object a line, with time in UTC, level, event and fields.

A record that has the attribute `tmapi_event` is that event. Its other attributes that begin with
`tmapi_` are the fields of the object, without this prefix.
"""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from typing import Any

from tmapi_async.errors.escaping import escape_controls

PREFIX = "tmapi_"
EVENT = f"{PREFIX}event"
"""Attribute of a record with the name of the event."""

OTHER = "message"
"""Event of a record that names none."""


def with_fields(event: str, **fields: object) -> dict[str, Any]:
    """Return the attributes (`extra=`) of a record for an event with fields."""
    return {EVENT: event, **{f"{PREFIX}{name}": value for name, value in fields.items()}}


class JsonFormatter(logging.Formatter):
    """Formats a record as one JSON object on one line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record."""
        attributes = vars(record)
        line: dict[str, Any] = {
            "time": format_utc(record.created),
            "level": record.levelname.lower(),
            "event": attributes.get(EVENT, OTHER),
            "message": record.getMessage(),
        }
        for name, value in attributes.items():
            if name.startswith(PREFIX) and name != EVENT:
                line[name.removeprefix(PREFIX)] = value
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        if not record.name.startswith("tmapi_async"):
            line["logger"] = record.name
        # In ASCII, which every stream can take, and without a character that a terminal obeys.
        return escape_controls(json.dumps(line, default=str))


class PlainFormatter(logging.Formatter):
    """Formats a record as one line of text for a file: time in UTC, level, message."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of a record, and below it those of a traceback."""
        level = record.levelname.lower()
        line = f"{format_utc(record.created)} {level}: {escape_controls(record.getMessage())}"
        if record.exc_info:
            trace = self.formatException(record.exc_info)
            line = "\n".join([line, *map(escape_controls, trace.split("\n"))])
        return line


def format_utc(seconds: float) -> str:
    """Return a time, given in seconds since 1970, as `2026-01-05T09:30:00.250Z`."""
    moment = datetime.fromtimestamp(seconds, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z"
