"""Cost of fetching the details of products. Plain data."""

from __future__ import annotations

import msgspec

from tmapi_async.errors.quantities import quantity


class DetailsCost(msgspec.Struct, frozen=True, kw_only=True):
    """Cost of fetching the details of products; the keys of `--dry-run --json`.

    Attributes:
        found: Products in the listings of the journal.
        selected: Products that meet the options.
        stored: Products of which the journal has the details already.
        renewed: Products of which the details are too old.
        failed: Products that failed in an earlier start, and are tried again.
        requests: Requests that are needed at least: one for each product to fetch. Ratings take one
            for each page of a product, and one more to see that no page follows.
        unfinished: Listings that were not read to their end, and may show more products.
    """

    found: int
    selected: int
    stored: int
    renewed: int
    failed: int
    requests: int
    unfinished: int = 0

    def lines(self, max_requests: int | None, *, paged: bool) -> list[str]:
        """Return the cost as text.

        Args:
            max_requests: Value of `--max-requests`.
            paged: True if a product may have several pages.
        """
        counts = [f"{self.stored:,} fetched before"]
        counts += [
            f"{number:,} {name}"
            for number, name in ((self.renewed, "too old"), (self.failed, "failed before"))
            if number
        ]
        chosen = "" if self.selected == self.found else f", {self.selected:,} of them selected"
        found = f"{quantity(self.found, 'product')} in the listings{chosen}"
        needed = f"{quantity(self.requests, 'request')} to send, more if some are retried"
        if paged:
            needed = (
                f"at least {quantity(self.requests, 'request')} to send: one for each page of 10 "
                "ratings, and one more to see that no page follows"
            )
        lines = [f"{found}: {', '.join(counts)}; {needed if self.requests else 'nothing to send'}"]
        if self.unfinished:
            which = quantity(self.unfinished, "listing was", "listings were")
            lines.append(
                f"{which} not read to the end and may show more products: to read the rest, run "
                "the same tmapi harvest command again first"
            )
        if max_requests is not None and self.requests > max_requests:
            allowed = quantity(max_requests, "request")
            lines.append(
                f"--max-requests allows {allowed}: run the same command again for the rest"
            )
        return lines
