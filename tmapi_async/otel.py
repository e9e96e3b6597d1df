"""Spans and metrics by OpenTelemetry's API; needs `pip install "tmapi-async[otel]"`.

Only the API is used: where they go is for the application to say, with whichever SDK it has. No
name and no attribute holds a URL or the token.
"""

from __future__ import annotations

from opentelemetry import metrics, trace
from opentelemetry.context import Context
from opentelemetry.trace import SpanKind, Status, StatusCode

from tmapi_async.transport.observers import UNANSWERED, AttemptReport, Observer, PageReport

NAME = "tmapi_async"

LATENCIES = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Advised bounds of the histogram of latencies, in seconds."""


class OpenTelemetryObserver(Observer):
    """Makes a span for each page request and each attempt, and keeps count.

    Spans are `tmapi.page` and, within it, `tmapi.attempt`; they are made when the page request is
    over, with the times at which things happened, and belong to the span that was current where the
    walk was begun.

    Args:
        tracer_provider: Where spans go; the global one if not given.
        meter_provider: Where metrics go; the global one if not given.
    """

    def __init__(
        self,
        tracer_provider: trace.TracerProvider | None = None,
        meter_provider: metrics.MeterProvider | None = None,
    ) -> None:
        self._tracer = trace.get_tracer(NAME, tracer_provider=tracer_provider)
        meter = metrics.get_meter(NAME, meter_provider=meter_provider)
        self._attempts = meter.create_counter("tmapi.attempts", "{attempt}", "Attempts on the wire")
        self._pages = meter.create_counter("tmapi.pages", "{page}", "Page requests that are over")
        self._items = meter.create_counter("tmapi.items", "{item}", "Items received")
        self._rejects = meter.create_counter("tmapi.rejects", "{row}", "Rows not decoded")
        self._latency = meter.create_histogram(
            "tmapi.attempt.duration",
            "s",
            "From the gate until the body was read",
            explicit_bucket_boundaries_advisory=LATENCIES,
        )
        self._width = meter.create_gauge("tmapi.gate.width", "{slot}", "Slots open")
        self._in_flight = meter.create_gauge("tmapi.gate.in_flight", "{slot}", "Slots taken")

    def on_attempt(self, attempt: AttemptReport) -> None:
        """Count it."""
        endpoint = attempt.request.listing.endpoint
        told = {"tmapi.endpoint": endpoint, "tmapi.outcome": attempt.outcome}
        self._attempts.add(1, told)
        self._latency.record(attempt.seconds, told)
        self._width.set(attempt.width)
        self._in_flight.set(attempt.in_flight)

    def on_page(self, page: PageReport) -> None:
        """Count it, and make its spans."""
        told = {"tmapi.endpoint": page.request.listing.endpoint}
        self._pages.add(1, {**told, "tmapi.outcome": page.outcome})
        self._items.add(page.items, told)
        self._rejects.add(page.rejects, told)
        span = self._tracer.start_span(
            "tmapi.page",
            kind=SpanKind.INTERNAL,
            attributes={
                **_where(page),
                "tmapi.outcome": page.outcome,
                "tmapi.attempts": len(page.attempts),
                "tmapi.items": page.items,
                "tmapi.rejects": page.rejects,
            },
            start_time=page.began,
        )
        if span.is_recording():
            inside = trace.set_span_in_context(span)
            for attempt in page.attempts:
                self._attempt(attempt, inside)
        _end(span, page)

    def _attempt(self, attempt: AttemptReport, inside: Context) -> None:
        attributes = {
            **_where(attempt),
            "tmapi.attempt": attempt.number,
            "tmapi.outcome": attempt.outcome,
        }
        if attempt.status is not None:
            attributes["http.response.status_code"] = attempt.status
        span = self._tracer.start_span(
            "tmapi.attempt",
            inside,
            kind=SpanKind.CLIENT,
            attributes=attributes,
            start_time=attempt.began,
        )
        _end(span, attempt)


def _where(report: AttemptReport | PageReport) -> dict[str, str | int]:
    listing = report.request.listing
    return {
        "tmapi.endpoint": listing.endpoint,
        "tmapi.listing": listing.identity,
        "tmapi.page": report.request.number,
    }


def _end(span: trace.Span, report: AttemptReport | PageReport) -> None:
    if report.outcome not in ("200", UNANSWERED):
        span.set_status(Status(StatusCode.ERROR, report.outcome))
    span.end(report.began + int(report.seconds * 1e9))
