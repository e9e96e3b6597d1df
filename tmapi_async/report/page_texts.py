"""Sentences at the top of a report: whether the data is complete, and what to do. Pure."""

from __future__ import annotations

import shlex
from pathlib import Path

import msgspec

from tmapi_async.api.endpoints import ENDPOINTS
from tmapi_async.crawl.splitting import can_split
from tmapi_async.errors.quantities import quantity
from tmapi_async.export.arrow import item_schema
from tmapi_async.export.changes.diff import KINDS
from tmapi_async.export.semantics import SOURCE_COLUMNS
from tmapi_async.journal.summaries.verdict import CAPPED_NOTE, SHIFTED_NOTE, Kind, Verdict

from .facts import ListingFact, ReportFacts

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
_ADVICE: dict[Kind, str] = {
    "nothing": "Give tmapi harvest the categories to read.",
    "running": "Wait until the harvest has ended, then make this report again.",
    "incomplete": "Run the same tmapi harvest command again: it continues, and fetches what is "
    "missing. Until then, an item that is not here may still be on sale.",
    "shifted": "If you need every item, run the same tmapi harvest command with --refresh.",
    "contradicted": "If you need every item, run the same tmapi harvest command with --refresh.",
    "empty": "Check the numbers and words of the empty listings: a mistyped one looks the same.",
    "complete": "Nothing has to be fetched: choose items from the tables.",
}
_MOST_NAMED = 4
_NOT_READ_TO_THE_END = ("failed", "stopped", "shifted", "capped")
_WORDS = {
    "new": "new",
    "gone": "gone",
    "dearer": "dearer",
    "cheaper": "cheaper",
    "sales": "at the same price, with other sales",
}


def verdict(facts: ReportFacts) -> tuple[str, str]:
    """Judge whether the harvest is complete.

    Returns:
        A word for the colour ("good", "fair" or "bad"), and a sentence.
    """
    result = Verdict.of(facts.tally, running=facts.running)
    names = {one.listing: _name(facts, one) for one in facts.listings}
    suspects = tuple(names.get(one, one) for one in result.suspects)
    result = msgspec.structs.replace(result, suspects=suspects)
    return _COLOURS[result.kind], result.sentence(_NOTES)


def doubtful(facts: ReportFacts) -> str:
    """Return the listings that were not read to their end, by name, as a sentence; may be empty."""
    listings = [one for one in facts.listings if one.state in _NOT_READ_TO_THE_END]
    if not listings:
        return ""
    names = ", ".join(f"{_name(facts, one)} ({one.state})" for one in listings[:_MOST_NAMED])
    more = sum(facts.states.get(state, 0) for state in _NOT_READ_TO_THE_END) - _MOST_NAMED
    return f"Not read to the end: {names}{f', and {more:,} more' if more > 0 else ''}."


def _name(facts: ReportFacts, listing: ListingFact) -> str:
    name = facts.name_of(listing.cat_id)
    return f"{name} {listing.cat_id}" if name else listing.listing


def advice(facts: ReportFacts) -> list[str]:
    """Return what to do next, as sentences."""
    result = Verdict.of(facts.tally, running=facts.running)
    kind = result.kind
    sentences = [_ADVICE[kind]] if kind in _ADVICE else []
    if result.capped:
        sentences.append(_advice_on_capped(facts, result.capped))
    others: tuple[Kind, ...] = ("shifted", "contradicted", "empty")
    for other in others:
        if other != kind and getattr(result, other) and _ADVICE[other] not in sentences:
            sentences.append(_ADVICE[other])
    if facts.superseded:
        verb = "has" if facts.superseded == 1 else "have"
        sentences.append(
            f"{quantity(facts.superseded, 'listing')} {verb} a later visit that is not finished "
            "and not shown: continue the harvest, then make the report again."
        )
    if facts.rejects:
        verb = "is" if facts.rejects == 1 else "are"
        replay = shlex.join(["tmapi", "replay", Path(facts.journal).name])
        sentences.append(
            f"{quantity(facts.rejects, 'row')} could not be read and {verb} missing here: "
            f"{replay} tries again after an upgrade."
        )
    if facts.changes is None and kind not in ("nothing", "running", "incomplete"):
        sentences.append(
            "To see later what changed, run the same tmapi harvest command with --refresh on "
            "another day."
        )
    return sentences


def _advice_on_capped(facts: ReportFacts, capped: int) -> str:
    """Say how to read past the end of capped listings, by a way that the endpoint allows."""
    verb = "was" if capped == 1 else "were"
    way = (
        "--refresh --split, and with a larger --max-pages or without it"
        if can_split(facts.endpoint)
        else "--refresh and a larger --max-pages, or without --max-pages"
    )
    return (
        f"{quantity(capped, 'listing')} {verb} capped: the items shown are real, but more may "
        f"exist. If you need all of them, run the same tmapi harvest command with {way}."
    )


def ranked_note(facts: ReportFacts) -> str:
    """Say which items the table of items shows, and where the others are."""
    shown, found = len(facts.items.ranked), facts.items.distinct
    lists = "those of each category that sell most, and those that cost least."
    if shown >= found:
        return f"{quantity(shown, 'item')}, all that were found: {lists}"
    words = ["tmapi", "export", Path(facts.journal).name, "--to", "items.xlsx"]
    words += ["--endpoint", facts.endpoint] if facts.others else []
    return f"{shown:,} of {quantity(found, 'item')}: {lists} All are in: {shlex.join(words)}."


def sales_period(endpoint: str) -> str:
    """Say which time the pieces sold are of, as far as the API tells."""
    names = item_schema(ENDPOINTS[endpoint]).names
    columns = [name for name in SOURCE_COLUMNS["sold"] if name in names]
    if columns and columns[0].endswith("_90days"):
        return "Pieces sold are those of 90 days, as the name of the field in the API says."
    return "Pieces sold are as the API states them; it does not document of which time."


def summary(facts: ReportFacts) -> str:
    """Return what was found, as a sentence."""
    items, count = facts.items, facts.items.category_count
    groups = quantity(count, "category or listing", "categories or listings")
    if all(category.group.isdigit() for category in items.categories):
        groups = quantity(count, "category", "categories")
    if not items.distinct:
        return "No item was found."
    with_price = "all" if items.priced == items.distinct else f"{items.priced:,}"
    return (
        f"{quantity(items.distinct, 'item')} in {groups}; {with_price} of them with a price. "
        "An item that is in two listings is counted in each."
    )


def change_summary(facts: ReportFacts) -> str:
    """Return what changed since the visits before, as a sentence; empty if there are none."""
    changes = facts.changes
    if changes is None:
        return ""
    counts = [f"{changes.total[kind]:,} {_WORDS[kind]}" for kind in KINDS if changes.total[kind]]
    return (
        f"Since {changes.before}: {', '.join(counts)}."
        if counts
        else (f"Nothing changed since {changes.before}.")
    )


def names_hint(facts: ReportFacts, command: str = "") -> str:
    """Return how to get the missing names of categories, and their cost; empty if none is.

    Args:
        facts: The facts of the report.
        command: The command that gets the names. Empty for one with the name of the journal.
    """
    return ". ".join(filter(None, (_unknown_categories(facts), _names_to_ask_for(facts, command))))


def _unknown_categories(facts: ReportFacts) -> str:
    if not facts.unknown:
        return ""
    numbers = sorted(facts.unknown)
    more = len(numbers) - _MOST_NAMED
    names = ", ".join(map(str, numbers[:_MOST_NAMED])) + (f" and {more:,} more" if more > 0 else "")
    if len(numbers) == 1:
        return f"{names} has no name: the API does not know this category"
    return f"{names} have no name: the API does not know these categories"


def _names_to_ask_for(facts: ReportFacts, command: str) -> str:
    count = len(facts.unnamed)
    if not count:
        return ""
    words = ["tmapi", "report", Path(facts.journal).name, "--names"]
    words += ["--sandbox"] if facts.from_sandbox else []
    verb = "has" if count == 1 else "have"
    return (
        f"{quantity(count, 'category', 'categories')} {verb} no name in the journal: "
        f"{command or shlex.join(words)} asks for {'it' if count == 1 else 'them'} by "
        f"{quantity(count, 'request')}, once"
    )
