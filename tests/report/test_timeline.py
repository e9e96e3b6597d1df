from __future__ import annotations

from tmapi_async.journal.views import Tick
from tmapi_async.report.timeline import MAX_MOMENTS, timeline


def test_a_long_harvest_is_drawn_with_bounded_points():
    """A chart has at most some 600 points for any number of ticks, and loses no count."""
    ticks = [
        Tick(n, 10 * n, 0, 0, 9 * n, 180 * n, 8, {"200": 9 * n, "503": n}) for n in range(1, 7201)
    ]
    moments = timeline([(1000.0, ticks)])
    assert len(moments) <= MAX_MOMENTS + 1
    assert sum(moment.refused for moment in moments) == 7200
    assert moments[-1].at == (1000 + 7200) * 1000
    assert {moment.pages for moment in moments} == {9.0}
