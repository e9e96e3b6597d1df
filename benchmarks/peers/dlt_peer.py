"""dlt: its REST client pages through every listing, and `extract` writes the rows to files."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from typing import Any

os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"  # asks no other host for anything
os.environ["RUNTIME__LOG_LEVEL"] = "CRITICAL"

import dlt
from common import TOKEN, Work, main
from dlt.sources.helpers.rest_client import RESTClient
from dlt.sources.helpers.rest_client.paginators import PageNumberPaginator

seen = [0, 0]


class HasNextPagePaginator(PageNumberPaginator):
    """Request pages until `has_next_page` is false."""

    def update_state(self, response: Any, data: Any = None) -> None:
        """Read `has_next_page`."""
        super().update_state(response, data)
        self._has_next_page = response.json()["data"]["has_next_page"]


def rows(client: RESTClient, listings: int) -> Iterator[Any]:
    """Yield the rows of every page of every listing."""
    for cat_id in range(1, listings + 1):
        paginator = HasNextPagePaginator(base_page=1, page_param="page", total_path=None)
        query = {"apiToken": TOKEN, "cat_id": cat_id}
        for page in client.paginate(
            "/1688/category/items", params=query, paginator=paginator, data_selector="data.items"
        ):
            seen[0] += 1
            seen[1] += len(page)
            yield page


def walk(work: Work) -> tuple[int, int]:
    """Run the extraction."""
    with tempfile.TemporaryDirectory() as folder:
        pipeline = dlt.pipeline("peer", pipelines_dir=folder, progress=None)
        resource = dlt.resource(rows, name="items")
        pipeline.extract(resource(RESTClient(work.url), work.listings))
    return seen[0], seen[1]


if __name__ == "__main__":
    main(walk)
