"""`python -m tmapi_async.sandbox`: run a sandbox in this process and print its URL first."""

from __future__ import annotations

import argparse
import asyncio
import errno
import sys
import textwrap
from functools import partial
from typing import TYPE_CHECKING, Any, get_args

from tmapi_async.sandbox.catalogue.catalogue import PriceBounds
from tmapi_async.sandbox.catalogue.prices import Prices
from tmapi_async.sandbox.catalogue.tree import Root
from tmapi_async.sandbox.responses.config import (
    Balance,
    Config,
    Endless,
    PastEnd,
    Style,
    Text,
    Unknown,
)
from tmapi_async.sandbox.responses.drift import Drift
from tmapi_async.sandbox.responses.faults import KINDS, Faults
from tmapi_async.sandbox.server.process import serve

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tmapi_async.sandbox.server.server import Sandbox

    Add = Callable[..., argparse.Action]


def main(
    arguments: Sequence[str] | None = None, prog: str = "python -m tmapi_async.sandbox"
) -> int:
    """Serve until SIGINT or SIGTERM.

    Args:
        arguments: The command line without the command; by default that of the process.
        prog: Name of the command, for help and messages.

    Returns:
        The exit code: 0, or 2 for a bad value or an address that cannot be bound.

    Raises:
        SystemExit: Code 0 after `--help`, code 2 for an unknown option.
    """
    options = vars(make_parser(prog).parse_args(arguments))
    exit_with_parent = options.pop("exit_with_parent")
    try:
        config = _config(options)
        asyncio.run(serve(config, _announce, exit_with_parent=exit_with_parent))
    except (ValueError, OSError) as error:
        sys.stderr.write(f"{prog}: {_explain(error, options)}\n")
        return 2
    return 0


def _explain(error: Exception, options: dict[str, Any]) -> str:
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        return (
            f"port {options['port']} of {options['host']} is in use, perhaps by another sandbox: "
            "stop that one, or choose another --port"
        )
    return str(error)


def _announce(sandbox: Sandbox) -> None:
    sys.stdout.write(f"{sandbox.url}\n")
    sys.stdout.flush()


def _config(options: dict[str, Any]) -> Config:
    options["faults"] = Faults.parse(options.pop("fault"))
    options["drift"] = Drift(
        rows=options.pop("drift"),
        bad_rows=options.pop("bad_rows"),
        envelopes=options.pop("drift_envelopes"),
    )
    for name in ("endless", "prices", "words", "shops"):
        options[name] = dict(options[name])
    if sizes := dict(options.pop("size")):
        options["categories"] = sizes
    if not options["token"]:
        del options["token"]
    return Config(**options)


def _endless(text: str) -> tuple[int, str]:
    cat_id, _, kind = text.partition("=")
    return int(cat_id), kind


def _prices(text: str) -> tuple[int, Prices]:
    cat_id, _, spec = text.partition("=")
    try:
        return int(cat_id), Prices.parse(spec)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _named(text: str) -> tuple[str, int]:
    name, _, cat_id = text.rpartition("=")  # an address may contain `=` too
    return name, int(cat_id)


def _ceiling(text: str) -> int | None:
    return None if text == "none" else int(text)


def _size(text: str) -> tuple[int, int]:
    cat_id, _, size = text.partition("=")
    return int(cat_id), int(size)


class _LineFormatter(argparse.HelpFormatter):
    """Keeps the lines of a text, and wraps each of them by itself."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        lines = text.splitlines()
        return "\n".join(
            textwrap.fill(line, width, initial_indent=indent, subsequent_indent=f"{indent}    ")
            for line in lines
        )


_EXAMPLES = (
    "--port 8080",
    "--size 1031910=5000 --limit 4 --latency 0.1",
    "--fault 500=0.05 --fault html=0.02 --quota 1000",
)


def make_parser(prog: str) -> argparse.ArgumentParser:
    """Return the parser of the options; the reference of the command is made from it, too.

    Args:
        prog: Name of the command, for help and messages.
    """
    description = "Run a local server that behaves like the API, for tests."
    # The usual line of usage names every option, and is wider than a narrow terminal.
    usage = f"{prog} [OPTIONS]"
    parser = argparse.ArgumentParser(
        prog=prog,
        usage=usage,
        description=description,
        epilog="\n  ".join(["examples:", *(f"{prog} {options}" for options in _EXAMPLES)]),
        formatter_class=_LineFormatter,
    )
    defaults = Config()
    for title, add_options in _GROUPS.items():
        add_options(partial(_add_argument, parser.add_argument_group(title)), defaults)
    return parser


def _add_argument(group: argparse._ArgumentGroup, *names: str, **options: Any) -> argparse.Action:
    """Add an option; name its choices in the text, where they can be wrapped."""
    choices = options.get("choices")
    if choices:
        options["metavar"] = "NAME"
        options["help"] = f"{options['help']}: {', '.join(map(str, choices))}"
    return group.add_argument(*names, **options)


def _add_server(add: Add, defaults: Config) -> None:
    add("--host", default=defaults.host, help="address to bind")
    add("--port", type=int, default=defaults.port, help="port; 0 for any free port")
    add("--token", action="append", default=[], help="accepted token; can be repeated")
    add("--compress", action="store_true", help="gzip replies")
    add("--bodies", metavar="DIR", help="folder of recorded bodies to serve")
    add("--verbatim", action="store_true", help="serve recorded bodies byte for byte")
    add("--exit-with-parent", action="store_true", help="stop when the parent process has ended")


def _add_catalogue(add: Add, defaults: Config) -> None:
    add("--seed", type=int, default=defaults.seed, help="seed of all generated data")
    add("--categories", type=int, default=defaults.categories, help="number of categories")
    sizes = "number of items in a category; replaces --categories"
    add("--size", action="append", type=_size, default=[], metavar="CAT=N", help=sizes)
    add("--skew", type=float, default=defaults.skew, help="exponent of the category sizes")
    add("--mean", type=float, default=defaults.mean, help="mean number of items in a category")
    add("--page-size", type=int, default=defaults.page_size, help="items on a page")
    prices = "prices of a category: MEDIAN[,SIGMA[,PRICE:COUNT]...]"
    add("--prices", action="append", type=_prices, default=[], metavar="CAT=PRICES", help=prices)
    word, shop = "category that a keyword finds", "category that a shop sells"
    pair = {"action": "append", "type": _named, "default": []}
    add("--word", dest="words", metavar="KEYWORD=CAT", help=word, **pair)
    add("--shop", dest="shops", metavar="SHOP=CAT", help=shop, **pair)
    add("--tree", type=int, metavar="N", help="number of categories in the tree")
    root = "shape of the root of the tree"
    add("--root", choices=get_args(Root), default=defaults.root, help=root)


def _add_listings(add: Add, defaults: Config) -> None:
    ceiling = "maximum number of rows of a search, or none"
    add("--ceiling", type=_ceiling, default=defaults.ceiling, metavar="N", help=ceiling)
    add("--v1-ceiling", type=_ceiling, metavar="N", help="the same for category/items")
    known, bounds = get_args(PriceBounds), "whether rows at the price bounds are shown"
    add("--price-bounds", choices=known, default=defaults.price_bounds, help=bounds)
    add("--false-excludes", action="store_true", help="a filter sent as false excludes rows")
    shift = "number of rows that move with each reply"
    add("--shift", type=float, default=defaults.shift, help=shift)
    ties = "rows with the same price also move in orders by price"
    add("--shift-ties", action="store_true", help=ties)
    adverts = "number of rows that each page shows in addition"
    add("--adverts", type=int, default=defaults.adverts, help=adverts)
    repeats = "probability that a page repeats rows of the previous page"
    add("--repeats", type=float, default=defaults.repeats, help=repeats)
    short = "probability that a page ends early"
    add("--short-pages", type=float, default=defaults.short_pages, help=short)
    endless = f"a category whose listing never ends: {', '.join(get_args(Endless))}"
    pair = {"action": "append", "type": _endless, "default": []}
    add("--endless", metavar="CAT=KIND", help=endless, **pair)
    past_end = "rows of a page past the end: none, or those of the last or the first page"
    add("--past-end", choices=get_args(PastEnd), default=defaults.past_end, help=past_end)


def _add_limits(add: Add, defaults: Config) -> None:
    add("--limit", type=int, help="maximum number of concurrent requests")
    add("--retry-after", type=float, help="seconds to send with a 503 or 429")
    add("--latency", type=float, default=defaults.latency, help="mean processing time in seconds")
    sigma = "spread of the processing time; 0 for none"
    add("--latency-sigma", type=float, default=defaults.latency_sigma, help=sigma)
    add("--quota", type=int, help="number of replies that the balance pays for")
    ghosts = "an aborted request keeps its slot until its processing time is over"
    add("--ghosts", action="store_true", help=ghosts)


def _add_errors(add: Add, defaults: Config) -> None:
    unknown = "reply for an unknown category"
    add("--unknown", choices=get_args(Unknown), default=defaults.unknown, help=unknown)
    add("--style", choices=get_args(Style), default=defaults.style, help="place of error codes")
    text = "name of the text field of errors"
    add("--text", choices=get_args(Text), default=defaults.text, help=text)
    balance = "form of the error for a spent balance"
    add("--balance", choices=get_args(Balance), default=defaults.balance, help=balance)
    status = "HTTP status of `--balance bare`"
    add("--bare-status", type=int, default=defaults.bare_status, help=status)
    faults = f"probability of a fault; the faults are {', '.join(KINDS)}"
    add("--fault", action="append", default=[], metavar="NAME=P", help=faults)
    add("--drift", type=float, default=0.0, help="probability that a row drifts")
    drift = "probability that a reply drifts outside its rows"
    add("--drift-envelopes", type=float, default=0.0, help=drift)
    add("--bad-rows", type=float, default=0.0, help="probability that a row cannot be decoded")


_GROUPS: dict[str, Callable[[Add, Config], None]] = {
    "server": _add_server,
    "catalogue": _add_catalogue,
    "listings": _add_listings,
    "limits": _add_limits,
    "errors and drift": _add_errors,
}


if __name__ == "__main__":
    sys.exit(main())
