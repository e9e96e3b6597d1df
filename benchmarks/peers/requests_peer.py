"""requests, as in the vendor's example: one call after another, never two in flight."""

from __future__ import annotations

import requests
from common import Work, main


def walk(work: Work) -> tuple[int, int]:
    """Walk one listing after the other."""
    pages = items = 0
    for cat_id in range(1, work.listings + 1):
        page, more = 1, True
        while more:
            response = requests.request(
                "GET", work.endpoint, params=work.query(cat_id, page), timeout=60
            )
            data = response.json()["data"]
            more, page = data["has_next_page"], page + 1
            pages, items = pages + 1, items + len(data["items"])
    return pages, items


if __name__ == "__main__":
    main(walk)
