"""Scrapy: a spider that follows `has_next_page` and yields an item per row, as in its tutorial.

Features that this task does not need are off: cookies, delays, the telnet console, the log,
robots.txt.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any, ClassVar

import scrapy
from common import Work, main
from scrapy.crawler import CrawlerProcess


class ListingSpider(scrapy.Spider):
    """Walk every listing to its end."""

    name = "pages"
    work: ClassVar[Work]
    seen: ClassVar[list[int]] = [0, 0]

    async def start(self) -> AsyncIterator[scrapy.Request]:
        """Request the first page of each listing."""
        for cat_id in range(1, self.work.listings + 1):
            yield self._request(cat_id, 1)

    def _request(self, cat_id: int, page: int) -> scrapy.Request:
        return scrapy.Request(self.work.page(cat_id, page), cb_kwargs={"at": (cat_id, page)})

    def parse(self, response: Any, at: tuple[int, int]) -> Iterator[Any]:
        """Yield every row as an item, then request the next page."""
        data = response.json()["data"]
        self.seen[0] += 1
        self.seen[1] += len(data["items"])
        yield from data["items"]
        if data["has_next_page"]:
            yield self._request(at[0], at[1] + 1)


def walk(work: Work) -> tuple[int, int]:
    """Run the spider."""
    ListingSpider.work = work
    loop = {"ASYNCIO_EVENT_LOOP": "uvloop.Loop"} if work.loop == "uvloop" else {}
    process = CrawlerProcess(
        {
            **loop,
            "CONCURRENT_REQUESTS": work.width,
            "CONCURRENT_REQUESTS_PER_DOMAIN": work.width,
            "COOKIES_ENABLED": False,
            "DOWNLOAD_DELAY": 0,
            "LOG_ENABLED": False,
            "ROBOTSTXT_OBEY": False,
            "TELNETCONSOLE_ENABLED": False,
        }
    )
    process.crawl(ListingSpider)
    process.start()
    return ListingSpider.seen[0], ListingSpider.seen[1]


if __name__ == "__main__":
    main(walk)
