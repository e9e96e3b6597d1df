"""What is said on a line arrives as it was said, and shows no token."""

from __future__ import annotations

import pickle

import pytest

from tmapi_async import TMAPI, errors
from tmapi_async.api.listings import category_items
from tmapi_async.crawl.outcomes import ListingTask
from tmapi_async.errors import ClusterError, TMAPIError
from tmapi_async.harvest.cluster import protocol
from tmapi_async.harvest.cluster.coordinator.connections import check_versions
from tmapi_async.harvest.cluster.worker.plugin import PYTHON, VERSION, SessionPlugin

KINDS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, TMAPIError)
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_an_error_arrives_as_it_was(kind):
    """Its class, its words, its place and what it means for the work are the same."""
    error = kind.__new__(kind)
    TMAPIError.__init__(error, "the words", code=417, status=200, retry_after=2.5)
    error.locate("category/items", "category/items?cat_id=7", 3, 2)
    error.fatal = True
    bye = protocol.decode_from_session(
        protocol.encode(protocol.SessionEnded(protocol.SerializedError.of(error)))
    )
    made = bye.failure.error()
    assert type(made) is kind
    kept = ("message", "code", "status", "retry_after", "endpoint", "listing", "page", "attempts")
    assert [getattr(made, name) for name in kept] == [getattr(error, name) for name in kept]
    assert made.halts


def test_an_error_of_no_class_of_ours_is_a_plain_one():
    """What a name stands for is never more than an error of this package."""
    assert type(protocol.SerializedError("Redactor", "words").error()) is TMAPIError
    assert type(protocol.SerializedError("Nonsense", "words").error()) is TMAPIError


def test_a_listing_arrives_with_all_that_is_held_of_it():
    """Its pages, which of them say that more follows, and the items seen."""
    listing = category_items(7, free_shipping=True)
    opening = ListingTask(
        listing=listing,
        max_pages=9,
        hint=5,
        stored_pages={2: True, 1: True, 4: False},
        stored_ids={3, 2**62},
    )
    batch = protocol.TaskBatch("session 1", 1, (protocol.TaskSpec.of(12, opening),))
    made = pickle.loads(pickle.dumps(batch)).tasks[0].opening()  # noqa: S301 - our own
    assert made.listing == listing
    assert made.stored_pages == {2: True, 1: True, 4: False}
    assert set(made.stored_ids) == {3, 2**62}
    assert (made.max_pages, made.hint, made.stored_rows, made.first) == (9, 5, 0, 1)


def test_what_says_the_token_does_not_show_it(canary):
    """Neither the message that holds it, nor the first one, nor the plugin."""
    api = TMAPI(canary.token)
    session_request = protocol.SessionRequest(
        "session 1", 0, "digest", None, api.settings, False, 30.0
    )
    shown = [
        repr(protocol.TokenMessage(canary.token)),
        repr(session_request),
        repr(SessionPlugin()),
        repr(api),
    ]
    assert all(canary.absent_from(text) for text in shown)
    assert canary.absent_from(protocol.encode(session_request))
    assert canary.absent_from(pickle.dumps(SessionPlugin()))


def node(python=f"{PYTHON}.1.final.0", version=VERSION, **packages):
    """What `Client.get_versions` tells of a process."""
    known = {"python": python, "tmapi_async": version, "msgspec": "0.22", "zstandard": "0.23"}
    return {"packages": known | {"distributed": "2026.8"} | packages}


@pytest.mark.parametrize(
    ("there", "said"),
    [
        (node(python="3.9.18.final.0"), "tcp://w has Python 3.9"),
        (node(version="0.0.9"), "tcp://w has tmapi-async 0.0.9"),
        (node(version=None), "tcp://w has tmapi-async missing"),
        (node(zstandard=None), "tcp://w has zstandard missing"),
        (None, "tcp://w has Python ?"),
    ],
)
def test_a_cluster_of_other_versions_is_refused(there, said):
    """The message says where, what is there, what is needed and how to get it."""
    versions = {"client": node(), "scheduler": node(), "workers": {"tcp://w": there}}
    with pytest.raises(ClusterError) as caught:
        check_versions(versions)
    text = str(caught.value)
    assert said in text
    assert f"pip install 'tmapi-async[cluster]=={VERSION}'" in text


def test_a_cluster_of_the_same_versions_is_taken():
    """Another patch release of Python or another distributed is none of our business."""
    versions = {
        "client": node(),
        "scheduler": node(distributed="2026.1"),
        "workers": {"tcp://w": node(python=f"{PYTHON}.99.final.0")},
    }
    check_versions(versions)
