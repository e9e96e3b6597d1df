"""Preloaded by the workers of a command: Ctrl-C is for the command, and reaches its whole group.

Else the first Ctrl-C, which lets what is on the wire finish, would end those who wait for it.
"""

from __future__ import annotations

import gc
import signal


def dask_setup(worker: object) -> None:
    """Called by distributed in each worker process."""
    del worker
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.collect()
    gc.freeze()
