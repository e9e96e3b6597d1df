"""Sentences at the top of a report: whether the data is complete, and what to do. Pure."""

from __future__ import annotations

import msgspec

from tmapi_async.errors.quantities import quantity
from tmapi_async.export.changes.diff import KINDS
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
    "capped": "The items shown are real, but more may exist. If you need all of them, run the same "
    "tmapi harvest command with --refresh --split, and without --max-pages.",
    "shifted": "If you need every item, run the same tmapi harvest command with --refresh.",
    "contradicted": "If you need every item, run the same tmapi harvest command with --refresh.",
    "empty": "Check the numbers and words of the empty listings.",
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
    kind = Verdict.of(facts.tally, running=facts.running).kind
    sentences = [_ADVICE[kind]]
    if facts.superseded:
        verb = "has" if facts.superseded == 1 else "have"
        sentences.append(
            f"{quantity(facts.superseded, 'listing')} {verb} a later visit that is not finished "
            "and not shown: continue the harvest, then make the report again."
        )
    if facts.rejects:
        verb = "is" if facts.rejects == 1 else "are"
        sentences.append(
            f"{quantity(facts.rejects, 'row')} could not be read and {verb} missing here: "
            "tmapi replay FILE tries again after an upgrade."
        )
    if facts.changes is None and kind not in ("nothing", "running", "incomplete"):
        sentences.append(
            "To see later what changed, run the same tmapi harvest command with --refresh on "
            "another day."
        )
    return sentences


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


def names_hint(facts: ReportFacts) -> str:
    """Return how to get the missing names of categories, and their cost; empty if none is."""
    count = len(facts.unnamed)
    if not count:
        return ""
    verb = "has" if count == 1 else "have"
    return (
        f"{quantity(count, 'category', 'categories')} {verb} no name in the journal: "
        f"tmapi report FILE --names asks for {'it' if count == 1 else 'them'} by "
        f"{quantity(count, 'request')}, once"
    )
