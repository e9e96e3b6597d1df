"""Schedule this process as a batch job, with time slices of a given length (Linux).

Python has no function for it, and neither has the C library: see sched_setattr(2). Linux 6.12 and
later grant slices of 0.1 to 100 ms to ordinary processes.
"""

from __future__ import annotations

import ctypes
import os
import platform

LONG = 0.1
"""Longest slice that Linux grants, in seconds."""

_CALLS = {"x86_64": (314, 315), "aarch64": (274, 275)}
"""Numbers of sched_setattr and sched_getattr."""


class _Attributes(ctypes.Structure):
    """The kernel's `struct sched_attr`, version 0."""

    _fields_ = (
        ("size", ctypes.c_uint32),
        ("policy", ctypes.c_uint32),
        ("flags", ctypes.c_uint64),
        ("nice", ctypes.c_int32),
        ("priority", ctypes.c_uint32),
        ("runtime", ctypes.c_uint64),
        ("deadline", ctypes.c_uint64),
        ("period", ctypes.c_uint64),
    )


def become_batch_job(slices: float | None = None) -> float | None:
    """Schedule this process, and those that it starts, as batch jobs.

    Args:
        slices: Length of a time slice in seconds; None for the system's own, a few milliseconds.

    Returns:
        The length that is in force; None if it is the system's own.
    """
    if not hasattr(os, "SCHED_BATCH"):
        return None
    os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    if slices is None or platform.machine() not in _CALLS:
        return None
    set_number, get_number = _CALLS[platform.machine()]
    size = ctypes.sizeof(_Attributes)
    call = ctypes.CDLL(None).syscall
    wanted = _Attributes(size=size, policy=os.SCHED_BATCH, runtime=round(slices * 1e9))
    call(set_number, 0, ctypes.byref(wanted), 0)
    granted = _Attributes()
    call(get_number, 0, ctypes.byref(granted), size, 0)
    return granted.runtime / 1e9 or None
