"""Clock of leases: it goes on while the machine sleeps."""

from __future__ import annotations

import sys
import time

if sys.platform != "win32" and hasattr(time, "CLOCK_BOOTTIME"):
    _CLOCK = time.CLOCK_BOOTTIME

    def lease_clock() -> float:
        """Return seconds of a monotonic clock that goes on while the machine sleeps.

        `time.monotonic` stands still meanwhile on Linux: a process that slept for an hour would
        take its lease for a fresh one.
        """
        return time.clock_gettime(_CLOCK)

else:
    lease_clock = time.monotonic  # goes on during sleep on Windows and macOS
