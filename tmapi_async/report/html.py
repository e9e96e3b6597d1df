"""Report page: one HTML file that opens from disk, sends no request and runs only its own scripts.

Titles come from sellers and are not trusted. They reach the page only through Jinja's autoescape,
never in a chart or a script. The content security policy of the page allows only the two scripts
of the page, by their digests.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import json
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from tmapi_async.api.values import picture
from tmapi_async.errors.argument_checks import check_path, check_type
from tmapi_async.errors.quantities import quantity
from tmapi_async.export.atomic_file import AtomicFile
from tmapi_async.export.changes.change_files import format_amount
from tmapi_async.export.selection import describe_runs
from tmapi_async.journal.summaries.verdict import CAPPED_NOTE, SHIFTED_NOTE, Kind, Verdict

from .charts import charts, height
from .facts import ReportFacts, gather

_ASSETS = files("tmapi_async.report") / "assets"

TITLES = {
    "speed": "Pages per second and gate width",
    "codes": "Failures per second, by code",
    "prices": "Prices by category",
    "rates": "Items by repurchase rate (of the item, or of its shop if the item has none)",
}


def write_report(
    journal: str | Path,
    output: str | Path,
    *,
    run: int | None = None,
    endpoint: str | None = None,
) -> int:
    """Write a report. The file appears complete or not at all.

    Args:
        journal: File of the journal.
        output: The HTML file.
        run: Number of the run. None for the latest finished visit of each listing, over all runs.
        endpoint: Short or full name of the endpoint to report; None if there is only one.

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
    page = render(gather(journal, run=run, endpoint=endpoint)).encode()
    atomic_file = AtomicFile(Path(output).expanduser())
    try:
        atomic_file.temporary.write_bytes(page)
        return atomic_file.commit()
    finally:
        atomic_file.discard()


def render(facts: ReportFacts) -> str:
    """Return the report as HTML."""
    options = charts(facts)
    scripts = [_asset("echarts.min.js"), _asset("report.js")]
    page: str = _template().render(
        facts=facts,
        charts={name: (TITLES[name], height(facts, name)) for name in options},
        options=Markup(_for_script(options)),  # noqa: S704 - contains no `<`
        scripts=[Markup(script) for script in scripts],  # noqa: S704 - our own files
        policy=_policy(scripts),
        style=Markup(_asset("report.css")),  # noqa: S704 - our own file
        verdict=verdict(facts),
        listing_runs=describe_runs(facts.listing_runs),
    )
    return page


_COLOURS: dict[Kind, str] = {
    "nothing": "bad",
    "running": "fair",
    "incomplete": "bad",
    "capped": "fair",
    "shifted": "fair",
    "contradicted": "fair",
    "empty": "fair",
    "complete": "good",
}
_NOTES: dict[Kind, str] = {
    "running": "A harvest was running when this report was made.",
    "incomplete": "The other listings were not walked to the end.",
    "capped": CAPPED_NOTE,
    "shifted": SHIFTED_NOTE,
    "complete": "Complete listings were walked to the end that the server reported.",
}


def verdict(facts: ReportFacts) -> tuple[str, str]:
    """Judge whether the harvest is complete.

    Returns:
        A word for the colour ("good", "fair" or "bad"), and a sentence.
    """
    result = Verdict.of(facts.tally, running=facts.running)
    return _COLOURS[result.kind], result.sentence(_NOTES)


def _for_script(value: Any) -> str:
    """Return JSON that is safe in an HTML element: it cannot end the element or a line."""
    text = json.dumps(value, ensure_ascii=True, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _policy(scripts: list[str]) -> str:
    digests = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
        for script in scripts
    )
    return (
        f"default-src 'none'; script-src {digests}; style-src 'unsafe-inline'; "
        "img-src https: data:; base-uri 'none'; form-action 'none'"
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
    environment.filters["quantity"] = quantity
    environment.filters["picture"] = picture_url
    environment.filters["link"] = product_link
    return environment.get_template("report.html")


def picture_url(url: str | None) -> str | None:
    """Return the https address of a picture, or None."""
    address = picture(url)
    if address is None or not address.startswith(("https://", "http://")):
        return None
    return f"https://{address.partition('//')[2]}"


def product_link(url: str | None) -> str | None:
    """Return the address of a product page, or None if the scheme is not http or https."""
    return url if url and url.startswith(("https://", "http://")) else None
