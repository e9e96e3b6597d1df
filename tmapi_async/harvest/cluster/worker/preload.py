"""Preload of worker processes that the command line starts: ignore Ctrl-C.

Ctrl-C reaches the whole process group. The command handles the signal: the first Ctrl-C lets
requests on their way finish, and the workers must live to do so.
"""

from __future__ import annotations

import gc
import signal


def dask_setup(worker: object) -> None:
    """Prepare a worker process; `distributed` calls this function in each of them."""
    del worker
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    gc.collect()
    gc.freeze()
