"""Texts and attributes of the errors."""

from __future__ import annotations

import copy
import pickle
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tmapi_async import InvalidRequestError, ListingsFailedError, Progress, Recovery, TMAPIError
from tmapi_async import errors as module
from tmapi_async.errors import JournalError, MixedUpReplyError

if TYPE_CHECKING:
    from collections.abc import Callable

CLASSES = sorted(
    (c for c in vars(module).values() if isinstance(c, type) and issubclass(c, TMAPIError)),
    key=lambda c: c.__name__,
)
OF_REQUESTS = [kind for kind in CLASSES if not issubclass(kind, JournalError)]
"""Errors of requests and walks; those of a journal name a file instead of a listing."""


def located(kind: type[TMAPIError]) -> TMAPIError:
    """An error of a class with everything on it that an error may carry."""
    if issubclass(kind, ListingsFailedError):
        error: TMAPIError = kind((located(TMAPIError),), 1)
    elif issubclass(kind, JournalError):
        error = kind(Path("shop.journal"))
    else:
        error = kind("the server's words", code=439, status=200, retry_after=1.5)
    error.locate("category/items", "category/items?cat_id=5", 7, 3)
    error.progress = Progress(4, 80, 1, ("category/items?cat_id=5 from page 7",), 3, more=True)
    error.fatal = True
    return error


def pickled(error: Any) -> Any:
    """The error after going through pickle."""
    return pickle.loads(pickle.dumps(error))  # noqa: S301 - made in the line itself


@pytest.mark.parametrize("kind", CLASSES)
@pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, pickled])
def test_errors_are_copied_and_pickled_whole(
    kind: type[TMAPIError], duplicate: Callable[[Any], Any]
) -> None:
    """A copied or pickled error has the class, the text and every attribute of the first."""
    error = located(kind)
    again = duplicate(error)
    assert type(again) is kind
    assert (str(again), repr(again)) == (str(error), repr(error))
    mine, theirs = dict(vars(error)), dict(vars(again))
    assert str(mine.pop("errors", "")) == str(theirs.pop("errors", ""))
    assert mine == theirs
    assert str(again.args) == str(error.args)
    assert again.halts


@pytest.mark.parametrize("kind", OF_REQUESTS)
def test_an_error_tells_what_where_and_what_next(kind: type[TMAPIError]) -> None:
    """An error is one line with the listing, page, attempts, code, words, advice and progress."""
    error = located(kind)
    text = str(error)
    assert text.isprintable()
    assert text.startswith("category/items?cat_id=5 page 7: ")
    assert ", after 3 attempts" in text
    assert text.endswith(
        "Done: 1 listing complete, 4 pages, 80 items; left: category/items?cat_id=5 from page 7, "
        "2 more open listings, listings not begun"
    )
    if not issubclass(kind, ListingsFailedError):
        assert "code 439: " in text
        assert "the server's words" in text
        # A mixed-up reply has the code of a delivered page, and is counted apart from them.
        label = "mixed-up" if kind is MixedUpReplyError else "439"
        assert (error.label, error.code, error.status) == (label, 439, 200)
    if error.advice:
        assert error.advice[1:] in text


@pytest.mark.parametrize("kind", OF_REQUESTS)
def test_an_error_without_anything_can_still_be_read(kind: type[TMAPIError]) -> None:
    """An error that nobody filled in has a text, a label and a repr, and no listing in them."""
    error = kind()
    assert str(error) == str(error).strip()
    assert "None" not in str(error)
    assert error.label == kind.kind
    assert repr(error).startswith(f"{kind.__name__}(")
    assert error.halts == (kind.recovery is Recovery.HALT)


def test_each_class_is_counted_under_a_label_of_its_own() -> None:
    """No two classes without subclasses share a label."""
    kinds = [kind.kind for kind in CLASSES if not kind.__subclasses__()]
    assert len(kinds) == len(set(kinds))


def test_some_errors_are_errors_of_python_too() -> None:
    """A bad argument is a ValueError, and use after closing a RuntimeError."""
    assert issubclass(InvalidRequestError, ValueError)
    assert issubclass(module.ClosedError, RuntimeError)


def test_failed_listings_are_summed_up() -> None:
    """Many failures make a message of three, and keep the others as objects."""
    failures = tuple(located(module.RetrievalError) for _ in range(5))
    error = ListingsFailedError(failures, 120)
    assert str(error).startswith("120 listings failed: ")
    assert str(error).endswith("; and 117 more")
    assert (error.errors, error.count) == (failures, 120)
    assert not str(ListingsFailedError(failures[:3], 3)).endswith(" more")


def test_an_error_shows_no_locals_of_its_making() -> None:
    """The traceback of a copied error begins where it is raised."""
    error = located(module.BalanceError)
    for _ in range(2):
        with pytest.raises(TMAPIError) as caught:
            raise copy.copy(error)
        frames = traceback.extract_tb(caught.value.__traceback__)
        assert [frame.name for frame in frames] == ["test_an_error_shows_no_locals_of_its_making"]
        assert caught.value.__context__ is caught.value.__cause__ is None
