"""The order in which sources of settings win."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tmapi_async.cli.configuration.setting_layers import Layer, Setting, Source, merge_layers
from tmapi_async.errors import InvalidRequestError

ORDER: tuple[Source, ...] = (
    "option", "environment", "job file", "project file", "user file",
)  # fmt: skip
FREE = ("concurrency", "rate", "timeout", "wait", "lookahead", "most_rejects")
"""Settings that have nothing to do with each other."""


def layer(source: Source, **values: Any) -> Layer:
    """Return a layer whose place is the name of its source."""
    return Layer(source, dict.fromkeys(values, source), values)


def in_force(*layers: Layer) -> dict[str, Any]:
    """Return the values in force."""
    return {name: setting.value for name, setting in merge_layers(layers).items()}


@given(st.lists(st.dictionaries(st.sampled_from(FREE), st.integers(1)), min_size=5, max_size=5))
def test_each_value_is_that_of_the_first_source_that_has_it(values: list[dict[str, int]]) -> None:
    """Option, environment, job file, project file, user file; and each value says which."""
    layers = [layer(source, **given) for source, given in zip(ORDER, values, strict=True)]
    expected: dict[str, Setting] = {}
    for source, given_values in reversed(list(zip(ORDER, values, strict=True))):
        expected |= {name: Setting(value, source, source) for name, value in given_values.items()}
    assert merge_layers(layers) == expected


@pytest.mark.parametrize(
    ("first", "later", "left"),
    [
        ({"sandbox": True}, {"base_url": "https://h", "token_file": "t", "rate": 5}, {"rate"}),
        ({"token": True}, {"token_file": "t"}, set()),
        ({"refresh": True}, {"older_than": "7d"}, set()),
        ({"refresh": False}, {"older_than": "7d"}, {"older_than"}),
        ({"max_pages": 3}, {"split": True, "ceiling": 100}, set()),
        ({"split": True}, {"max_pages": 3, "ceiling": 100}, {"ceiling"}),
        ({"split": False}, {"max_pages": 3}, {"max_pages"}),
        ({"estimate": True}, {"confirm_above": 3}, set()),
        ({"dry_run": True}, {"confirm_above": 3}, set()),
        ({"workers": 2}, {"split": True}, set()),
        ({"more": ["a.csv"]}, {"to": ["b.csv"]}, set()),
        ({"run": "latest", "to": ["b.db"]}, {"history": True}, set()),
    ],
)
@pytest.mark.parametrize("source", ["job file", "project file", "user file"])
def test_a_file_gives_way_to_an_option_that_excludes_its_setting(
    source: Source, first: dict[str, Any], later: dict[str, Any], left: set[str]
) -> None:
    """A setting that fits most commands must not make the others fail."""
    assert in_force(layer("option", **first), layer(source, **later)).keys() - first.keys() == left


@pytest.mark.parametrize(
    ("values", "typed", "left"),
    [
        ({"max_age": "6h", "stale_if_error": "7d"}, {}, set()),
        ({"max_age": "6h"}, {"cache": "p.db"}, {"max_age"}),
        ({"ceiling": 100}, {}, set()),
        ({"ceiling": 100}, {"split": True}, {"ceiling"}),
        ({"csv_bom": True, "history": True}, {}, set()),
        ({"csv_bom": True}, {"to": ["x.parquet"]}, set()),
        ({"csv_bom": True}, {"to": ["x.parquet", "y.CSV"]}, {"csv_bom"}),
        ({"csv_bom": True}, {"to": ["x.parquet"], "more": ["s3://b/y.csv"]}, {"csv_bom"}),
        ({"history": True}, {"to": ["-"]}, set()),
        ({"history": True}, {"to": ["x.db"]}, {"history"}),
    ],
)
def test_a_setting_without_effect_is_left_out(
    values: dict[str, Any], typed: dict[str, Any], left: set[str]
) -> None:
    """A setting for tables is no mistake in a command that writes none."""
    layers = [layer("option", **typed), layer("user file", **values)]
    assert in_force(*layers).keys() - typed.keys() == left
    assert merge_layers(layers, keep_all=True).keys() == values.keys() | typed.keys()
    as_job = [layer("option", **typed), layer("job file", **values)]
    assert in_force(*as_job).keys() == values.keys() | typed.keys(), "a job file is meant"


def test_a_project_lowers_a_limit_of_the_user_but_does_not_raise_it() -> None:
    """A file that comes with a folder does not make a user pay more than their own file says."""
    own = layer("user file", max_requests=100, confirm_above=50)
    high = layer("project file", max_requests=10**6, confirm_above=10**6)
    low = layer("project file", max_requests=10, confirm_above=5)
    assert in_force(high, own) == {"max_requests": 100, "confirm_above": 50}
    assert in_force(low, own) == {"max_requests": 10, "confirm_above": 5}
    assert merge_layers([high, own])["max_requests"].source == "user file"
    typed = layer("option", max_requests=1000)
    assert in_force(typed, high, own)["max_requests"] == 1000


@pytest.mark.parametrize(
    "values", [{"refresh": True, "older_than": "7d"}, {"split": True, "max_pages": 5}]
)
def test_two_settings_of_one_file_that_exclude_each_other_are_refused(
    values: dict[str, Any],
) -> None:
    """The message names the file, and not only options that nobody has typed."""
    with pytest.raises(InvalidRequestError, match=r"user file: .* exclude each other"):
        merge_layers([layer("user file", **values)])
    off = {name: value if value is not True else False for name, value in values.items()}
    assert in_force(layer("user file", **off)) == off
