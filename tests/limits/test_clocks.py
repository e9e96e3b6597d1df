"""The clock of leases."""

from __future__ import annotations

import time

import pytest

from tmapi_async.limits.clocks import lease_clock


@pytest.mark.skipif(not hasattr(time, "CLOCK_BOOTTIME"), reason="only Linux has CLOCK_BOOTTIME")
def test_leases_run_on_the_clock_that_goes_on_in_sleep(monkeypatch):
    """`time.monotonic` stands still while a Linux machine sleeps, so it is not asked."""
    asked = []
    monkeypatch.setattr(time, "clock_gettime", lambda clock: asked.append(clock) or 7.0)
    assert lease_clock() == 7.0
    assert asked == [time.CLOCK_BOOTTIME]
