"""Preload of worker processes that the command line starts: ignore Ctrl-C and hang-ups.

Both reach the whole process group. The command handles the signal: the first one lets requests on
their way finish, and the workers must live to do so.
"""

from __future__ import annotations

import gc
import signal


def dask_setup(worker: object) -> None:
    """Prepare a worker process; `distributed` calls this function in each of them."""
    del worker
    for name in ("SIGINT", "SIGHUP"):  # Windows has no SIGHUP
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    gc.collect()
    gc.freeze()
