"""What can go wrong with a cluster."""

from __future__ import annotations

from ...errors import Recovery, TMAPIError


class ClusterError(TMAPIError):
    """The cluster cannot be used, or can be used no more; what was brought is in the journal."""

    recovery = Recovery.HALT
    kind = "cluster"
    meaning = "the cluster cannot do it"


class WorkerRefusedError(ClusterError):
    """A worker cannot take part."""

    kind = "worker"
    meaning = "a worker cannot take part"
