"""OpenTelemetry spans and metrics. Needs the extra `otel`.

Only the API of OpenTelemetry is used: the application chooses the SDK and the exporters. No name
and no attribute contains a URL or the token.
"""

from __future__ import annotations

from opentelemetry import metrics, trace
from opentelemetry.context import Context
from opentelemetry.trace import SpanKind, Status, StatusCode

from tmapi_async.limits.outage_queue import OutageReport
from tmapi_async.transport.observers import UNANSWERED, AttemptReport, Observer, PageReport

__all__ = ["LATENCIES", "NAME", "OpenTelemetryObserver"]

NAME = "tmapi_async"

LATENCIES = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Advised bucket bounds of the latency histogram, in seconds."""


class OpenTelemetryObserver(Observer):
    """Creates spans for page requests and attempts, and records metrics.

    A span `tmapi.page` contains a span `tmapi.attempt` for each attempt. All of them are created
    when the page request is over, with the real times. Their parent is the span that was current
    when the walk was started.

    Args:
        tracer_provider: Receives the spans; the global provider by default.
        meter_provider: Receives the metrics; the global provider by default.
    """

    def __init__(
        self,
        tracer_provider: trace.TracerProvider | None = None,
        meter_provider: metrics.MeterProvider | None = None,
    ) -> None:
        self._tracer = trace.get_tracer(NAME, tracer_provider=tracer_provider)
        meter = metrics.get_meter(NAME, meter_provider=meter_provider)
        self._attempts = meter.create_counter("tmapi.attempts", "{attempt}", "Attempts sent")
        self._pages = meter.create_counter("tmapi.pages", "{page}", "Finished page requests")
        self._items = meter.create_counter("tmapi.items", "{item}", "Items received")
        self._rejects = meter.create_counter("tmapi.rejects", "{row}", "Rows not decoded")
        self._latency = meter.create_histogram(
            "tmapi.attempt.duration",
            "s",
            "Time from leaving the gate until the body was read",
            explicit_bucket_boundaries_advisory=LATENCIES,
        )
        self._outages = meter.create_counter(
            "tmapi.outages", "{outage}", "Times in which the API did not answer, when they are over"
        )
        self._outage_seconds = meter.create_counter(
            "tmapi.outage.seconds", "s", "Duration of these times"
        )
        self._width = meter.create_gauge("tmapi.gate.width", "{slot}", "Number of slots")
        self._in_flight = meter.create_gauge(
            "tmapi.gate.in_flight", "{slot}", "Number of slots in use"
        )

    def on_attempt(self, attempt: AttemptReport) -> None:
        """Count an attempt."""
        endpoint = attempt.request.listing.endpoint
        attributes = {"tmapi.endpoint": endpoint, "tmapi.outcome": attempt.outcome}
        self._attempts.add(1, attributes)
        self._latency.record(attempt.seconds, attributes)
        self._width.set(attempt.width)
        self._in_flight.set(attempt.in_flight)

    def on_outage(self, outage: OutageReport) -> None:
        """Count an outage when it is over or given up."""
        if outage.state != "waiting":
            self._outages.add(1, {"tmapi.outcome": outage.state})
            self._outage_seconds.add(outage.seconds)

    def on_page(self, page: PageReport) -> None:
        """Count a page request and create its spans."""
        attributes = {"tmapi.endpoint": page.request.listing.endpoint}
        self._pages.add(1, {**attributes, "tmapi.outcome": page.outcome})
        self._items.add(page.items, attributes)
        self._rejects.add(page.rejects, attributes)
        span = self._tracer.start_span(
            "tmapi.page",
            kind=SpanKind.INTERNAL,
            attributes={
                **_request_attributes(page),
                "tmapi.outcome": page.outcome,
                "tmapi.attempts": len(page.attempts),
                "tmapi.items": page.items,
                "tmapi.rejects": page.rejects,
            },
            start_time=page.began,
        )
        if span.is_recording():
            context = trace.set_span_in_context(span)
            for attempt in page.attempts:
                self._add_attempt(attempt, context)
        _end(span, page)

    def _add_attempt(self, attempt: AttemptReport, context: Context) -> None:
        attributes = {
            **_request_attributes(attempt),
            "tmapi.attempt": attempt.number,
            "tmapi.outcome": attempt.outcome,
        }
        if attempt.status is not None:
            attributes["http.response.status_code"] = attempt.status
        span = self._tracer.start_span(
            "tmapi.attempt",
            context,
            kind=SpanKind.CLIENT,
            attributes=attributes,
            start_time=attempt.began,
        )
        _end(span, attempt)


def _request_attributes(report: AttemptReport | PageReport) -> dict[str, str | int]:
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
