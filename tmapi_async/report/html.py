"""Facts as one HTML file that opens from disk, asks nobody for anything and runs nothing of others.

Titles come from strangers. They reach the page only through Jinja's autoescape, never a chart and
never a script; the policy in the page names its own scripts by digest and no other.
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

from tmapi_async.export.atomic_file import AtomicFile
from tmapi_async.export.changes.change_files import format_amount

from .charts import charts, height
from .facts import ReportFacts, gather

_ASSETS = files("tmapi_async.report") / "assets"

TITLES = {
    "speed": "Pages a second and gate width",
    "codes": "Failures a second, by code",
    "prices": "Prices by category",
    "rates": "Items by repurchase rate, of the item or else of its shop",
}


def write_report(
    journal: str | Path,
    output: str | Path,
    *,
    run: int | None = None,
    endpoint: str | None = None,
) -> int:
    """Write a report of a run to a file, whole or not at all; returns its size in bytes.

    Args:
        journal: The journal's file.
        output: The HTML file.
        run: Number of the run; None for the latest.
        endpoint: Short or full name of the endpoint whose items are told of; None for the only one.

    Raises:
        JournalError: The journal cannot be read.
        InvalidRequestError: It has no such run, or rows of several endpoints of which none was
            chosen.
        OSError: The file cannot be written; what was there before still is.
    """
    page = render(gather(journal, run=run, endpoint=endpoint)).encode()
    atomic_file = AtomicFile(Path(output).expanduser())
    try:
        atomic_file.temporary.write_bytes(page)
        return atomic_file.commit()
    finally:
        atomic_file.discard()


def render(facts: ReportFacts) -> str:
    """The report as HTML."""
    options = charts(facts)
    scripts = [_asset("echarts.min.js"), _asset("report.js")]
    page: str = _template().render(
        facts=facts,
        charts={name: (TITLES[name], height(facts, name)) for name in options},
        options=Markup(_for_script(options)),  # noqa: S704 - no `<` is left in it
        scripts=[Markup(script) for script in scripts],  # noqa: S704 - our own files
        policy=_policy(scripts),
        style=Markup(_asset("report.css")),  # noqa: S704 - our own file
        verdict=verdict(facts),
    )
    return page


def verdict(facts: ReportFacts) -> tuple[str, str]:
    """How sure one can be of what was harvested: a word for the colour, and a sentence."""
    total = sum(facts.states.values())
    missing = facts.states.get("failed", 0) + facts.states.get("stopped", 0)
    capped = facts.states.get("capped", 0)
    if not total:
        return "bad", "Nothing was harvested."
    if missing:
        return (
            "bad",
            f"Not all there is: {missing:,} of {total:,} listings are not walked to their end.",
        )
    if capped:
        return "fair", (
            f"All that the API shows: {capped:,} of {total:,} listings end exactly at a ceiling, "
            "so there may be more behind it."
        )
    return "good", f"Complete: all {total:,} listings were walked to the end that the server told."


def _for_script(value: Any) -> str:
    """JSON that is data wherever it stands in HTML: it can neither end its element nor a line."""
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
    environment.filters["picture"] = _picture
    environment.filters["link"] = _link
    return environment.get_template("report.html")


def _picture(url: str | None) -> str | None:
    """The address of a picture, where it is one that https can fetch; `https:////` is seen."""
    if not url:
        return None
    _, _, rest = url.rpartition("//")
    return f"https://{rest}" if rest and url.startswith(("https://", "http://", "//")) else None


def _link(url: str | None) -> str | None:
    """The address of a product page; nothing else may be followed from a report."""
    return url if url and url.startswith(("https://", "http://")) else None
