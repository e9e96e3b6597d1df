"""Sessions with mocked replies, in virtual time."""

from __future__ import annotations

import contextlib
import re
from typing import TYPE_CHECKING, Any

from aioresponses import aioresponses

from tests.support.sessions import BASE, Script, new_state, open_session, request
from tests.support.virtual_time import run
from tmapi_async import Page, TMAPIError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from tmapi_async.limits.gate import Gate
    from tmapi_async.transport.request_state import RequestState
    from tmapi_async.transport.session import Session


@contextlib.asynccontextmanager
async def scripted(
    *answers: Any, gate: Gate | None = None, **options: Any
) -> AsyncIterator[tuple[Session, Script]]:
    """Open a session, and yield it with the script that answers it."""
    script = Script(*answers)
    with aioresponses() as mocked:
        mocked.get(re.compile(re.escape(BASE)), callback=script.answer, repeat=True)
        async with open_session(gate, **options) as session:
            yield session, script


async def outcome(
    session: Session, number: int = 1, shared: RequestState | None = None
) -> Page | TMAPIError:
    """Return the page, or the error raised in its place."""
    try:
        return await session.fetch(request(number), shared or new_state(session))
    except TMAPIError as error:
        return error


class FetchRecord:
    """Record of one fetch: outcome, URLs and times of the requests, counts."""

    def __init__(self, *answers: Any, **options: Any) -> None:
        self.outcome: Any = None
        run(self._main(answers, options))

    async def _main(self, answers: tuple[Any, ...], options: dict[str, Any]) -> None:
        prepare: Callable[[Session], Awaitable[None]] | None = options.pop("prepare", None)
        async with scripted(*answers, **options) as (session, script):
            if prepare is not None:
                await prepare(session)
                script.urls.clear()
                script.times.clear()
            shared = new_state(session)
            self.outcome = await outcome(session, 1, shared)
            self.urls = script.urls
            self.times = [at - script.times[0] for at in script.times]
            self.counts = shared.counts
            self.gate = session.gate.statistics()
            assert not shared.on_wire
            assert shared.counts.resting == 0
            assert self.gate.in_flight == self.gate.ghosts
            assert shared.counts.requests == len(self.urls)
            assert sum(shared.counts.codes.values()) == len(self.urls)
