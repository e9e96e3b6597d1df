"""Iterator of a walk: an end by a cancellation never looks like the end of the walk."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any, NoReturn, TypeVar

from tmapi_async.crawl.page_queue import PageQueue
from tmapi_async.errors import ClosedError

T = TypeVar("T")


class WalkIterator(AsyncGenerator[T, None]):
    """Wraps the generator of a walk.

    A generator that is cancelled while it waits is exhausted, so that the next `anext` raises
    `StopAsyncIteration`: `asyncio.wait_for(anext(walk), 1)` in a loop would take the first time-out
    for the end of the walk. This iterator raises `ClosedError` instead. A step that is cancelled
    before it has begun exhausts a generator that has not begun, too, without a line of it having
    run: the first step is a coroutine, so that the walk then goes on.

    Args:
        steps: Generator of the walk.
        queue: Queue that the generator waits for.
    """

    __slots__ = ("_queue", "_step", "_steps")

    def __init__(self, steps: AsyncGenerator[T, None], queue: PageQueue) -> None:
        self._steps = steps
        self._step: Callable[[], Any] = self._begin
        self._queue = queue

    def __anext__(self) -> Any:
        """Return an awaitable of the next item or page. Not a coroutine: one call less an item."""
        return _refuse() if self._queue.cut_off else self._step()

    def asend(self, value: None) -> Awaitable[T]:  # type: ignore[override] # no coroutine either
        """Continue like `anext`; the value is ignored."""
        del value
        return self.__anext__()  # type: ignore[no-any-return]

    async def _begin(self) -> T:
        self._step = self._steps.__anext__
        step: T = await self._step()
        return step

    def athrow(self, *args: Any) -> Any:
        """Raise an exception at the place where the walk waits."""
        return self._steps.athrow(*args)

    def aclose(self) -> Any:
        """End the walk, and every task of it."""
        return self._steps.aclose()


async def _refuse() -> NoReturn:
    raise ClosedError(
        "the walk was cut off by a time-out or a cancellation before its end: "
        "ask the client for another one"
    )
