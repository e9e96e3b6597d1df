"""Crawlee: its HTTP crawler, storage in memory; each page asks for the next."""

from __future__ import annotations

import json
import logging
from datetime import timedelta

from common import Work, main, run
from crawlee import ConcurrencySettings, Request
from crawlee.configuration import Configuration
from crawlee.crawlers import HttpCrawler, HttpCrawlingContext
from crawlee.storage_clients import MemoryStorageClient


async def walk(work: Work) -> tuple[int, int]:
    """Run the crawler."""
    seen = [0, 0]
    crawler = HttpCrawler(
        concurrency_settings=ConcurrencySettings(
            min_concurrency=work.width, desired_concurrency=work.width, max_concurrency=work.width
        ),
        configure_logging=False,
        configuration=Configuration(purge_on_start=False),
        request_handler_timeout=timedelta(minutes=5),
        statistics_log_format="inline",
        storage_client=MemoryStorageClient(),
    )

    @crawler.router.default_handler
    async def handle(context: HttpCrawlingContext) -> None:
        data = json.loads(await context.http_response.read())["data"]
        seen[0] += 1
        seen[1] += len(data["items"])
        if data["has_next_page"]:
            cat_id, page = context.request.user_data["at"]  # type: ignore[misc]
            await context.add_requests([_request(work, cat_id, page + 1)])

    await crawler.run([_request(work, n, 1) for n in range(1, work.listings + 1)])
    return seen[0], seen[1]


def _request(work: Work, cat_id: int, page: int) -> Request:
    return Request.from_url(work.page(cat_id, page), user_data={"at": [cat_id, page]})


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    main(lambda work: run(walk(work), work.loop))
