"""`python -m tmapi_async.sandbox`: a sandbox in this process; prints its URL first."""

from __future__ import annotations

import argparse
import asyncio
import sys
from typing import TYPE_CHECKING, Any, get_args

from tmapi_async.sandbox.catalogue.catalogue import PriceBounds
from tmapi_async.sandbox.catalogue.prices import Prices
from tmapi_async.sandbox.catalogue.tree import Root
from tmapi_async.sandbox.responses.config import Balance, Config, Endless, Style, Text, Unknown
from tmapi_async.sandbox.responses.drift import Drift
from tmapi_async.sandbox.responses.faults import KINDS, Faults
from tmapi_async.sandbox.server.process import serve

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tmapi_async.sandbox.server.server import Sandbox


def main(
    arguments: Sequence[str] | None = None, prog: str = "python -m tmapi_async.sandbox"
) -> int:
    """Serve until a signal.

    Args:
        arguments: The command line, without the command; that of the process by default.
        prog: Name of the command, for its help and messages.

    Returns:
        Exit code: 0, or 2 for a bad value or an address that cannot be bound.

    Raises:
        SystemExit: With 0 after `--help`, with 2 for an unknown option.
    """
    given = vars(_parser(prog).parse_args(arguments))
    exit_with_parent = given.pop("exit_with_parent")
    try:
        config = _config(given)
        asyncio.run(serve(config, _announce, exit_with_parent=exit_with_parent))
    except (ValueError, OSError) as problem:
        sys.stderr.write(f"{prog}: {problem}\n")
        return 2
    return 0


def _announce(sandbox: Sandbox) -> None:
    sys.stdout.write(f"{sandbox.url}\n")
    sys.stdout.flush()


def _config(given: dict[str, Any]) -> Config:
    given["faults"] = Faults.parse(given.pop("fault"))
    given["drift"] = Drift(
        rows=given.pop("drift"),
        bad_rows=given.pop("bad_rows"),
        envelopes=given.pop("drift_envelopes"),
    )
    for name in ("endless", "prices", "words", "shops"):
        given[name] = dict(given[name])
    if sizes := dict(given.pop("size")):
        given["categories"] = sizes
    if not given["token"]:
        del given["token"]
    return Config(**given)


def _endless(text: str) -> tuple[int, str]:
    cat_id, _, kind = text.partition("=")
    return int(cat_id), kind


def _prices(text: str) -> tuple[int, Prices]:
    cat_id, _, spec = text.partition("=")
    try:
        return int(cat_id), Prices.parse(spec)
    except ValueError as problem:
        raise argparse.ArgumentTypeError(str(problem)) from None


def _named(text: str) -> tuple[str, int]:
    name, _, cat_id = text.rpartition("=")  # an address may hold a `=` of its own
    return name, int(cat_id)


def _ceiling(text: str) -> int | None:
    return None if text == "none" else int(text)


def _size(text: str) -> tuple[int, int]:
    cat_id, _, size = text.partition("=")
    return int(cat_id), int(size)


def _parser(prog: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=prog, description="Serve a sandbox of the API.")
    add, usual = parser.add_argument, Config()
    add("--host", default=usual.host)
    add("--port", type=int, default=usual.port, help="0 for any free one")
    add("--seed", type=int, default=usual.seed)
    add("--categories", type=int, default=usual.categories)
    add("--size", action="append", type=_size, default=[], metavar="CAT=N", help="in their place")
    add("--skew", type=float, default=usual.skew, help="exponent of the sizes")
    add("--mean", type=float, default=usual.mean, help="mean items of a category")
    add("--page-size", type=int, default=usual.page_size)
    _add_listings(parser, usual)
    add("--unknown", choices=get_args(Unknown), default=usual.unknown)
    add("--token", action="append", default=[], help="accepted token; may be repeated")
    add("--style", choices=get_args(Style), default=usual.style)
    add("--text", choices=get_args(Text), default=usual.text)
    add("--limit", type=int, help="concurrent requests before 503")
    add("--retry-after", type=float)
    add("--latency", type=float, default=usual.latency, help="mean seconds")
    add("--latency-sigma", type=float, default=usual.latency_sigma, help="0 for a fixed latency")
    add("--quota", type=int, help="replies that the balance pays for")
    add("--balance", choices=get_args(Balance), default=usual.balance)
    add("--bare-status", type=int, default=usual.bare_status)
    add("--fault", action="append", default=[], metavar="NAME=P", help=f"one of {', '.join(KINDS)}")
    add("--drift", type=float, default=0.0, help="probability for a row")
    add("--drift-envelopes", type=float, default=0.0)
    add("--bad-rows", type=float, default=0.0)
    add("--repeats", type=float, default=usual.repeats)
    add("--short-pages", type=float, default=usual.short_pages)
    kinds = "|".join(get_args(Endless))
    add("--endless", action="append", type=_endless, default=[], metavar=f"CAT={kinds}")
    add("--ghosts", action="store_true", help="an aborted request keeps its slot")
    add("--compress", action="store_true")
    add("--bodies", metavar="DIR", help="serve recorded bodies")
    add("--verbatim", action="store_true")
    add("--exit-with-parent", action="store_true")
    return parser


def _add_listings(parser: argparse.ArgumentParser, usual: Config) -> None:
    """Options about what the listings show, and in which order."""
    add = parser.add_argument_group("listings").add_argument
    end = "rows after which the site's search ends, or none"
    add("--ceiling", type=_ceiling, default=usual.ceiling, metavar="N", help=end)
    add("--v1-ceiling", type=_ceiling, metavar="N", help="the same for category/items")
    spec = "CAT=MEDIAN[,SIGMA[,PRICE:COUNT]...]"
    add("--prices", action="append", type=_prices, default=[], metavar=spec)
    bounds = "whether rows at the bounds themselves are shown"
    known = get_args(PriceBounds)
    add("--price-bounds", choices=known, default=usual.price_bounds, help=bounds)
    add("--false-excludes", action="store_true", help="what a filter sent as false means")
    add("--word", action="append", type=_named, default=[], dest="words", metavar="KEYWORD=CAT")
    add("--shop", action="append", type=_named, default=[], dest="shops", metavar="SHOP=CAT")
    add("--tree", type=int, metavar="N", help="categories in the tree")
    add("--root", choices=get_args(Root), default=usual.root, help="shape of the tree's root")
    add("--shift", type=float, default=usual.shift, help="rows that move with each reply")
    add("--shift-ties", action="store_true", help="also among rows of one price, sorted by price")
    add("--adverts", type=int, default=usual.adverts, help="rows that each page shows in addition")


if __name__ == "__main__":
    sys.exit(main())
