"""Job files: listings and options as TOML, and errors with the line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tmapi_async.cli.configuration.setting_keys import keys_of
from tmapi_async.cli.options.job_file import read_job
from tmapi_async.cli.options.listing_sets import ListingSet
from tmapi_async.errors import InvalidRequestError

KEYS = keys_of("harvest")

JOB = """\
journal = "shop.journal"
max_requests = 5_000  # a start
rate = 2.5
to = ["items.parquet"]

[[listings]]
cat_ids = [
    1031910,
    1031922,
]
super_factory = true

[[listings]]
endpoint = "search"
keywords = ["男士T恤", "b"]
sort = "sales"
price_start = "9.90"

[[listings]]
endpoint = "category-v2"
cat_ids_file = "ids.txt"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the lists that the job files name."""
    (tmp_path / "ids.txt").write_text("5\n6 # six\n\n5\n", "utf-8")
    (tmp_path / "words.txt").write_text("\ufeff裙\n\n# none\n a b \n裙\n", "utf-8")
    return tmp_path


def read(folder: Path, text: str) -> tuple[list[str], dict[str, Any], int]:
    """Read a job file: identities, options, repeated listings."""
    path = folder / "job.toml"
    path.write_text(text, "utf-8")
    job = read_job(path, KEYS)
    listings = ListingSet(job.groups)
    return [listing.identity for listing in listings], job.options, listings.repeated


def test_a_job_file_says_what_to_walk_and_how(folder: Path) -> None:
    """Tables of listings and options are read; files of values are relative to the job file."""
    names, options, _ = read(folder, JOB)
    assert names == [
        "category/items?cat_id=1031910&super_factory=true",
        "category/items?cat_id=1031922&super_factory=true",
        "search/items?keyword=男士T恤&price_start=9.9&sort=sales",
        "search/items?keyword=b&price_start=9.9&sort=sales",
        "category/items/v2?cat_id=5",
        "category/items/v2?cat_id=6",
    ]
    assert options == {
        "journal": folder / "shop.journal",
        "max_requests": 5000,
        "rate": 2.5,
        "to": [str(folder / "items.parquet")],
    }


def test_values_come_from_the_file_and_from_lists(folder: Path) -> None:
    """Values of both are used, each once, and repeats are counted."""
    text = '[[listings]]\nendpoint = "search"\nkeywords = ["x"]\nkeywords_file = "words.txt"\n'
    assert read(folder, text)[0] == [
        "search/items?keyword=x", "search/items?keyword=裙", "search/items?keyword=a%20b",
    ]  # fmt: skip
    assert read(folder, text)[2] == 1


WRONG = [
    ("1031922", '"x12"', 9, "'x12' is not a category ID"),
    ("1031922", "0", 9, "0 is not a category ID"),
    ("1031922", "1.5", 9, "1.5 is not a category ID"),
    ("max_requests", "max_request", 2, "did you mean max_requests?"),
    ("max_requests", "token", 2, "does not belong in a file"),
    ("5_000", "true", 2, "max_requests must be a whole number from 1, not True"),
    ("2.5", '"fast"', 3, "rate must be a number above 0, not 'fast'"),
    ("super_factory", "is_super_factory", 11, "it is called super_factory there"),
    ("super_factory = true", "super_factory = 1", 11, "must be True, False or None"),
    ('"sales"', '"prize"', 16, "sort must be one of"),
    ('"9.90"', '"cheap"', 17, "price in yuan"),
    ('"search"', '"serch"', 14, "did you mean search?"),
    ('"b"]', "5]", 15, "keywords must be texts, not 5"),
    ('keywords = ["男士T恤", "b"]', 'keyword = "b"', 15, "write keywords = [...]"),
    ('keywords = ["男士T恤", "b"]', "", 14, "search/items needs keyword"),
    ('keywords = ["男士T恤", "b"]', 'keywords = "b"', 15, "must be a list"),
    ("ids.txt", "none.txt", 21, "No such file"),
    ('"ids.txt"', "5", 21, "must be the name of a file"),
    ("rate = 2.5", "rate = ", 3, "invalid value"),
]


@pytest.mark.parametrize(("right", "wrong", "line", "reason"), WRONG)
def test_a_mistake_in_a_job_file_is_told_with_its_line(
    folder: Path, right: str, wrong: str, line: int, reason: str
) -> None:
    """The message names the line of every kind of mistake."""
    assert right in JOB
    with pytest.raises(InvalidRequestError) as caught:
        read(folder, JOB.replace(right, wrong, 1))
    assert reason in str(caught.value)
    assert f"line {line}" in str(caught.value)
    assert str(folder / "job.toml") in str(caught.value)


@pytest.mark.parametrize("text", ["", "rate = 1", "listings = 5", "listings = []", "[listings]"])
def test_a_job_file_without_listings_is_refused(folder: Path, text: str) -> None:
    """A job file without listings is refused."""
    with pytest.raises(InvalidRequestError, match="the file has no"):
        read(folder, text)


def test_a_job_file_that_cannot_be_read_is_refused(folder: Path) -> None:
    """The message names a file that is missing, a folder, or not text."""
    (folder / "binary").write_bytes(b"\xff\xfe\x00")
    for name in ("none.toml", ".", "binary"):
        with pytest.raises(InvalidRequestError, match="cannot read the job file"):
            read_job(folder / name, KEYS)


SHORT_JOB = "[[listings]]\ncat_ids = [7]\n"


def test_a_job_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    """Editors on Windows begin a file with the mark and end lines with two characters."""
    job = tmp_path / "job.toml"
    job.write_bytes(b"\xef\xbb\xbf" + SHORT_JOB.replace("\n", "\r\n").encode())
    assert len(read_job(job, KEYS).groups) == 1


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a = " + "[" * 3000 + "]" * 3000 + "\n" + SHORT_JOB, "nested too deeply"),
        ('[[listings]]\nendpoint = "search"\nkeywords_file = "no\\u0000pe"\n', "line 3: "),
        ('[[listings]]\ncat_ids_file = "no\\u0000pe"\n', "line 2: "),
    ],
    ids=["deep", "keywords", "IDs"],
)
def test_a_job_file_that_python_cannot_use_is_refused(
    tmp_path: Path, text: str, reason: str
) -> None:
    """Values that make Python itself fail are reported as bad input."""
    job = tmp_path / "job.toml"
    job.write_text(text)
    with pytest.raises(InvalidRequestError, match=reason):
        read_job(job, KEYS)


def test_products_are_listed_by_their_ids(folder: Path) -> None:
    """A table of an endpoint of one product has product IDs, or the name of a file with them."""
    table = '[[listings]]\nendpoint = "item-detail"\nlanguage = "en"\n'
    names, _, repeated = read(folder, f'{table}item_ids = [5, 7]\nitem_ids_file = "ids.txt"\n')
    assert names == [f"item_detail?item_id={number}&language=en" for number in (5, 7, 6)]
    assert repeated == 1
    with pytest.raises(InvalidRequestError, match="line 4: 'x' is not a product ID"):
        read(folder, f'{table}item_ids = ["x"]\n')
