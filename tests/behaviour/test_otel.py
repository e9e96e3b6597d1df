"""Spans and metrics against the sandbox, through OpenTelemetry's own SDK."""

from __future__ import annotations

import subprocess
import sys

import msgspec
import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tests.support.watching import client, ids_by_category, truth
from tmapi_async import OutageReport, ParameterError
from tmapi_async.api.listings import category_items
from tmapi_async.harvest import Harvest
from tmapi_async.otel import OpenTelemetryObserver
from tmapi_async.sandbox import Faults

pytestmark = pytest.mark.usefixtures("tidy")


class Telemetry:
    """An observer whose spans and metrics stay in memory."""

    def __init__(self):
        self.exporter = InMemorySpanExporter()
        self.tracers = TracerProvider()
        self.tracers.add_span_processor(SimpleSpanProcessor(self.exporter))
        self.reader = InMemoryMetricReader()
        self.meters = MeterProvider([self.reader])
        self.observer = OpenTelemetryObserver(self.tracers, self.meters)

    def spans(self, name):
        """The finished spans of that name."""
        return [span for span in self.exporter.get_finished_spans() if span.name == name]

    def metrics(self):
        """Name of a metric -> its data points, as collected now."""
        data = self.reader.get_metrics_data()
        scopes = data.resource_metrics[0].scope_metrics
        return {one.name: one.data.data_points for scope in scopes for one in scope.metrics}


@pytest.fixture
def telemetry():
    """An observer whose spans and metrics stay in memory."""
    telemetry = Telemetry()
    yield telemetry
    telemetry.tracers.shutdown()
    telemetry.meters.shutdown()


async def test_pages_and_attempts_are_spans(tmapi_sandboxes, telemetry):
    """A span for each page request, one in it for each attempt, below the caller's own span."""
    faults = Faults(script={(1, 2): ["500", "cut"]})
    sandbox = await tmapi_sandboxes(categories={1: 60}, faults=faults)
    async with client(sandbox, observer=telemetry.observer, lookahead="off") as api:
        with telemetry.tracers.get_tracer("app").start_as_current_span("mine") as mine:
            assert await ids_by_category(api.category_items(1).pages()) == truth(sandbox)
    pages, attempts = telemetry.spans("tmapi.page"), telemetry.spans("tmapi.attempt")
    assert [span.attributes["tmapi.page"] for span in pages] == [1, 2, 3]
    assert {span.parent.span_id for span in pages} == {mine.get_span_context().span_id}
    assert [span.attributes["tmapi.attempts"] for span in pages] == [1, 3, 1]
    second = [span for span in attempts if span.parent.span_id == pages[1].context.span_id]
    assert [
        (span.attributes["tmapi.attempt"], span.attributes["tmapi.outcome"]) for span in second
    ] == [(1, "500"), (2, "connection"), (3, "200")]
    assert ["http.response.status_code" in span.attributes for span in second] == [
        True,
        False,
        True,
    ]
    assert [span.status.is_ok for span in second] == [False, False, True]
    assert len(attempts) == sandbox.stats.requests == 5
    for span in (*pages, *attempts):
        assert span.attributes["tmapi.endpoint"] == "category/items"
        assert span.attributes["tmapi.listing"] == "category/items?cat_id=1"
        assert span.start_time <= span.end_time
    for span in second:
        assert pages[1].start_time <= span.start_time
        assert span.end_time <= pages[1].end_time + 1000


async def test_metrics_agree_with_the_sandbox(tmapi_sandboxes, telemetry):
    """Attempts by outcome, pages, items and latencies agree with the statistics of the server."""
    sandbox = await tmapi_sandboxes(categories=9, mean=50, seed=3, faults=Faults({"500": 0.2}))
    async with client(sandbox, observer=telemetry.observer, lookahead="off") as api:
        walk = api.category_items(sandbox.catalogue.category_ids)
        await ids_by_category(walk.pages())
        metrics, stats = telemetry.metrics(), walk.statistics()
    attempts = {one.attributes["tmapi.outcome"]: one.value for one in metrics["tmapi.attempts"]}
    assert attempts == stats.codes
    assert sum(one.count for one in metrics["tmapi.attempt.duration"]) == stats.requests
    assert sum(one.value for one in metrics["tmapi.items"]) == stats.items
    pages = {one.attributes["tmapi.outcome"]: one.value for one in metrics["tmapi.pages"]}
    assert pages == {"200": stats.pages}
    assert [one.value for one in metrics["tmapi.gate.width"]] == [8]
    assert [one.value for one in metrics["tmapi.gate.in_flight"]] == [0]


async def test_an_outage_is_counted_when_it_is_over(telemetry):
    """Beginning and end are reported; the metrics have the number and the duration."""
    report = OutageReport(
        state="waiting",
        reason="why",
        since=1e9,
        gives_up_at=2e9,
        interval=1.0,
        probes=1,
        seconds=2.0,
    )
    telemetry.observer.on_outage(report)
    telemetry.observer.on_outage(msgspec.structs.replace(report, state="over", seconds=30.0))
    metrics = telemetry.metrics()
    assert [one.value for one in metrics["tmapi.outages"]] == [1]
    assert [one.value for one in metrics["tmapi.outage.seconds"]] == [30.0]


@pytest.mark.parametrize("auth", ["query", "header"])
async def test_telemetry_does_not_tell_the_token(tmapi_sandboxes, telemetry, canary, auth):
    """No span, metric or log record contains the token or a URL, for any fault."""
    faults = Faults(dict.fromkeys(("500", "cut", "html", "truncated", "422"), 0.1))
    sandbox = await tmapi_sandboxes(
        categories=12, seed=5, mean=30, token=canary.token, faults=faults
    )
    options = {"token": canary.token, "auth": auth, "observer": telemetry.observer}
    async with client(sandbox, **options) as api:
        with pytest.raises((ExceptionGroup, ParameterError, Exception)):
            await ids_by_category(api.category_items(sandbox.catalogue.category_ids).pages())
    attributes = " ".join(span.to_json() for span in telemetry.exporter.get_finished_spans())
    attributes += telemetry.reader.get_metrics_data().to_json()
    assert "tmapi.page" in attributes
    assert canary.absent_from(attributes)
    assert sandbox.url not in attributes
    assert "apiToken" not in attributes


async def test_a_harvest_is_observed(tmapi_sandboxes, telemetry, tmp_path):
    """A harvest reports the same spans and metrics as a walk."""
    sandbox = await tmapi_sandboxes(categories={1: 60, 2: 20})
    async with client(sandbox, observer=telemetry.observer) as api:
        requests = [category_items(number) for number in (1, 2)]
        result = await Harvest(api, requests, journal=tmp_path / "a.journal").run()
    assert len(telemetry.spans("tmapi.attempt")) == result.requests


async def test_an_observer_does_not_go_to_workers(tmapi_sandboxes, telemetry):
    """A client with an observer is not portable to another process."""
    sandbox = await tmapi_sandboxes()
    assert not client(sandbox, observer=telemetry.observer).portable
    assert client(sandbox).portable


@pytest.mark.slow
def test_nothing_is_imported_unasked():
    """Without the observer OpenTelemetry is not imported, by the client or the command line."""
    code = "import sys, tmapi_async.cli; print([m for m in sys.modules if 'opentel' in m])"
    process = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert process.stdout == "[]\n"
