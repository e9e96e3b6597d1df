"""Choose the engine of a harvest."""

from __future__ import annotations

from collections.abc import Sequence

from tmapi_async.client.client import TMAPI
from tmapi_async.errors import InvalidRequestError
from tmapi_async.harvest.cluster.token_source import TokenSource
from tmapi_async.harvest.engines.base import Engine
from tmapi_async.harvest.engines.multi import MultiEngine
from tmapi_async.harvest.engines.single import SingleEngine


def make_engine(
    clients: Sequence[TMAPI], *, cluster: object | None, tokens: TokenSource | None
) -> Engine:
    """Return the engine for these clients.

    Args:
        clients: One client for each account.
        cluster: A `distributed.Client`, the address of a scheduler, or None for this process.
        tokens: Place where workers find the tokens; None sends the tokens to them.

    Raises:
        InvalidRequestError: There is no client, or an option is invalid.
    """
    if cluster is not None:
        from tmapi_async.harvest.cluster.engine import ClusterEngine  # noqa: PLC0415 - an extra, slow to import

        return ClusterEngine(clients, cluster, tokens)
    if tokens is not None:
        raise InvalidRequestError(
            "tokens tells the workers of a cluster where to find the tokens: pass cluster, too"
        )
    if len(clients) == 1:
        return SingleEngine(clients[0])
    return MultiEngine(clients)
