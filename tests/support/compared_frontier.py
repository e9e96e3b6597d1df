"""A frontier that checks its short way against its careful one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tmapi_async.crawl.answers import Answer
from tmapi_async.crawl.frontier import Frontier

if TYPE_CHECKING:
    from collections.abc import Callable

    from tmapi_async.api.listings import Listing, PageRequest
    from tmapi_async.crawl.answers import FrontierStatistics


class ComparedFrontier(Frontier):
    """Takes the short way (`goes_on`) where it can, beside a frontier that never takes it.

    Both are told the same, and must say the same.

    Attributes:
        short: Number of pages that the short way has taken.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._careful = Frontier(**options)
        self.short = 0

    def _both(self, method: Callable[..., Any], *args: Any, **options: Any) -> Any:
        result = method(self, *args, **options)
        assert method(self._careful, *args, **options) == result
        return result

    def open(self, listing: Listing, **options: Any) -> Answer:
        """Open a listing in both."""
        return self._both(Frontier.open, listing, **options)

    def take(self, width: int) -> PageRequest | None:
        """Take a page from both."""
        return self._both(Frontier.take, width)

    def answered(
        self, request: PageRequest, *, has_next: bool, items: int, expected: int | None = None
    ) -> Answer:
        """Note a page, by the short way if it is one for it."""
        if has_next and self.goes_on(request, expected):
            self.short += 1
            answer = Answer(deliver=(request.number,))
        else:
            answer = super().answered(request, has_next=has_next, items=items, expected=expected)
        careful = self._careful.answered(request, has_next=has_next, items=items, expected=expected)
        assert answer == careful
        return answer

    def repeated(self, request: PageRequest) -> Answer:
        """Note repeated rows in both."""
        return self._both(Frontier.repeated, request)

    def count_wasted(self, pages: int) -> None:
        """Count wasted pages in both."""
        self._both(Frontier.count_wasted, pages)

    def failed(self, request: PageRequest) -> Answer:
        """Note a failure in both."""
        return self._both(Frontier.failed, request)

    def reclaimed(self, request: PageRequest, *, sent: bool = True) -> Answer:
        """Note a reclaimed page in both."""
        return self._both(Frontier.reclaimed, request, sent=sent)

    def close(self, listing: Listing) -> Answer:
        """Leave a listing in both."""
        return self._both(Frontier.close, listing)

    def statistics(self) -> FrontierStatistics:
        """Return the counts, which are the same."""
        return self._both(Frontier.statistics)
