"""Report page: one HTML file that opens from disk and runs only its own scripts.

The page sends no request. Only if pictures are asked for, a browser loads them, from the hosts that
the content security policy of the page names.

Titles come from sellers and are not trusted. They reach the page only through Jinja's autoescape,
never in a chart or a script. The content security policy allows only the scripts of the page, by
their digests.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
import shlex
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from tmapi_async.errors.argument_checks import check_path, check_type
from tmapi_async.errors.quantities import quantity
from tmapi_async.export.atomic_file import AtomicFile
from tmapi_async.export.changes.change_files import format_amount
from tmapi_async.export.selection import describe_runs

from .charts import charts, height
from .facts import ReportFacts, gather
from .page_texts import (
    advice,
    change_summary,
    doubtful,
    names_hint,
    ranked_note,
    sales_period,
    summary,
    verdict,
)
from .web_addresses import picture_host, picture_hosts, picture_url, product_link, web_link

_ASSETS = files("tmapi_async.report") / "assets"

TITLES = {
    "prices": "Prices by category",
    "rates": "Items by repurchase rate (of the item, or of its shop if the item has none)",
    "speed": "Pages per second and gate width",
    "codes": "Failures per second, by code",
}


def write_report(
    journal: str | Path,
    output: str | Path,
    *,
    run: int | None = None,
    endpoint: str | None = None,
    pictures: bool = False,
) -> int:
    """Write a report. The file appears complete or not at all.

    Args:
        journal: File of the journal.
        output: The HTML file.
        run: Number of the run. None for the latest finished visit of each listing, over all runs.
        endpoint: Short or full name of the endpoint to report; None if there is only one.
        pictures: Show the pictures of items. Whoever opens the page then loads them from the hosts
            of the items; otherwise the page sends no request.

    Returns:
        Size of the file in bytes.

    Raises:
        JournalError: The journal cannot be read.
        InvalidRequestError: The journal has no such run, or rows of several endpoints and no
            endpoint was chosen.
        OSError: The file cannot be written; a previous file is unchanged.
    """
    check_path("journal", journal)
    check_path("output", output)
    check_type("run", run, int, "the number of a run")
    check_type("endpoint", endpoint, str, "the name of an endpoint")
    check_type("pictures", pictures, bool, "True or False", optional=False)
    return write_page(gather(journal, run=run, endpoint=endpoint), output, pictures=pictures)


def write_page(facts: ReportFacts, output: str | Path, *, pictures: bool = False) -> int:
    """Write a report of gathered facts, as `write_report` does, and return its size in bytes."""
    page = render(facts, pictures=pictures).encode()
    atomic_file = AtomicFile(Path(output).expanduser())
    try:
        atomic_file.temporary.write_bytes(page)
        return atomic_file.commit()
    finally:
        atomic_file.discard()


def render(facts: ReportFacts, *, pictures: bool = False) -> str:
    """Return the report as HTML."""
    options = charts(facts)
    scripts = [_asset(name) for name in ("echarts.min.js", "datatables.min.js", "report.js")]
    hosts = picture_hosts(picture_url(item.img) for item in facts.items.ranked) if pictures else []
    page: str = _template().render(
        facts=facts,
        charts={name: (TITLES[name], height(facts, name)) for name in TITLES if name in options},
        options=Markup(_for_script(options)),  # noqa: S704 - contains no `<`
        scripts=[Markup(script) for script in scripts],  # noqa: S704 - files of the package
        policy=_policy(scripts, hosts),
        hosts=hosts,
        pictures=_pictures(facts, hosts),
        style=Markup(_asset("report.css")),  # noqa: S704 - our own file
        verdict=verdict(facts),
        doubtful=doubtful(facts),
        advice=advice(facts),
        summary=summary(facts),
        change_summary=change_summary(facts),
        cheaper=facts.changes.cheaper(facts.items.ranked) if facts.changes else [],
        names_hint=names_hint(facts),
        ranked=sorted(facts.items.ranked, key=lambda item: -(item.sold or 0)),
        ranked_note=f"{ranked_note(facts)} {sales_period(facts.endpoint)}",
        file=shlex.quote(Path(facts.journal).name),
        listing_runs=describe_runs(facts.listing_runs),
    )
    return page


def _pictures(facts: ReportFacts, hosts: Sequence[str]) -> dict[int, str]:
    """Return the addresses of the pictures that the policy allows, by product ID."""
    addresses = {item.item_id: picture_url(item.img) for item in facts.items.ranked}
    return {
        item_id: url for item_id, url in addresses.items() if url and picture_host(url) in hosts
    }


def _for_script(value: Any) -> str:
    """Return JSON that is safe in an HTML element: it cannot end the element or a line."""
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _policy(scripts: list[str], picture_hosts: Sequence[str]) -> str:
    digests = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
        for script in scripts
    )
    images = " ".join(["data:", *(f"https://{host}" for host in picture_hosts)])
    return (
        f"default-src 'none'; script-src {digests}; style-src 'unsafe-inline'; "
        f"img-src {images}; base-uri 'none'; form-action 'none'"
    )


@functools.cache
def _asset(name: str) -> str:
    return (_ASSETS / name).read_text("utf-8")


@functools.cache
def _template() -> Any:
    environment = Environment(
        loader=PackageLoader("tmapi_async.report", "assets"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["number"] = lambda value: "" if value is None else f"{value:,}"
    environment.filters["money"] = lambda value: "" if value is None else format_amount(value)
    environment.filters["percent"] = lambda value: f"{value:+.1f} %" if value else ""
    environment.filters["quantity"] = quantity
    environment.filters["link"] = web_link
    environment.globals["product_link"] = product_link
    return environment.get_template("report.html")
