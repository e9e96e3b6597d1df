"""A cluster is used only if its versions match those here."""

from __future__ import annotations

import pytest

from tmapi_async.errors import ClusterError
from tmapi_async.harvest.cluster.coordinator.connections import check_versions
from tmapi_async.harvest.cluster.worker.plugin import PYTHON, VERSION


def node(python=f"{PYTHON}.1.final.0", version=VERSION, **packages):
    """Return the answer of `Client.get_versions` for one process."""
    known = {"python": python, "tmapi_async": version, "msgspec": "0.22", "zstandard": "0.23"}
    return {"packages": known | {"distributed": "2026.8"} | packages}


@pytest.mark.parametrize(
    ("there", "message"),
    [
        (node(python="3.9.18.final.0"), "tcp://w has Python 3.9"),
        (node(version="0.0.9"), "tcp://w has tmapi-async 0.0.9"),
        (node(version=None), "tcp://w has tmapi-async missing"),
        (node(zstandard=None), "tcp://w has zstandard missing"),
        (None, "tcp://w has Python ?"),
    ],
)
def test_a_cluster_of_other_versions_is_refused(there, message):
    """The message names the worker, its version, the version needed, and the command for it."""
    versions = {"client": node(), "scheduler": node(), "workers": {"tcp://w": there}}
    with pytest.raises(ClusterError) as caught:
        check_versions(versions)
    text = str(caught.value)
    assert message in text
    assert f"Here are tmapi-async {VERSION} and Python {PYTHON}: install the same versions" in text


def test_a_cluster_of_the_same_versions_is_accepted():
    """The patch release of Python and the version of distributed may differ."""
    versions = {
        "client": node(),
        "scheduler": node(distributed="2026.1"),
        "workers": {"tcp://w": node(python=f"{PYTHON}.99.final.0")},
    }
    check_versions(versions)
