from __future__ import annotations

import pytest

from tmapi_async.sandbox import Attempt, Faults, Sandbox


def attempt(cat_id=5, page=1, nth=0):
    """An attempt at a page of a category."""
    return Attempt("/1688/category/items", (("cat_id", str(cat_id)),), cat_id, page, nth)


def test_sandbox_script_is_consumed_one_step_an_attempt():
    """A scripted page meets its faults in order, then none."""
    faults = Faults(script={(5, 2): ["500", "ok", None, "html"]})
    met = [faults.pick(1, attempt(page=2, nth=nth)) for nth in range(6)]
    assert met == ["500", None, None, "html", None, None]
    assert faults.pick(1, attempt(page=3)) is None


def test_sandbox_script_with_one_name_never_relents():
    """A single name is met by every attempt, for one page or for a whole category."""
    faults = Faults({"417": 1.0}, script={(5, 2): "500", 7: "html", (7, 2): "ok"})
    assert {faults.pick(1, attempt(page=2, nth=nth)) for nth in range(50)} == {"500"}
    assert faults.pick(1, attempt(7, 99)) == "html"
    assert faults.pick(1, attempt(7, 2)) is None
    assert faults.pick(1, attempt(5, 1)) == "417"


def test_sandbox_script_may_be_a_function():
    """A function decides about its attempts; the rates apply to the others."""
    faults = Faults({"417": 1.0}, script=lambda a: "cut" if a.page == 3 else None)
    assert [faults.pick(1, attempt(page=page)) for page in (2, 3)] == ["417", "cut"]


def test_sandbox_rates_are_met_in_their_proportion_and_repeatably():
    """Each fault is met about as often as its rate says, the same for the same attempt."""
    faults = Faults({"417": 0.05, "500": 0.1, "cut": 0.2})
    tries = [attempt(page=page, nth=nth) for page in range(1, 501) for nth in range(4)]
    met = [faults.pick(9, one) for one in tries]
    assert met == [faults.pick(9, one) for one in tries]
    assert 70 < met.count("417") < 135
    assert 150 < met.count("500") < 250
    assert 330 < met.count("cut") < 470
    assert met != [faults.pick(10, one) for one in tries]


def test_sandbox_faults_are_parsed_from_text():
    """NAME=PROBABILITY is understood, anything else is refused with an example."""
    assert Faults.parse(["417=0.05", " cut = 0.1"]).rates == {"417": 0.05, "cut": 0.1}
    with pytest.raises(ValueError, match=r"for example 417=0\.05"):
        Faults.parse(["417"])


@pytest.mark.parametrize("rates", [{"417": 1.2}, {"417": -0.1}, {"417": 0.6, "500": 0.6}])
def test_sandbox_rates_must_be_probabilities(rates):
    """Rates out of range, one by one or together, are refused."""
    with pytest.raises(ValueError, match=r"417: the probability must be 0 to 1|must be at most 1"):
        Faults(rates)


def test_sandbox_unknown_fault_is_refused_at_once():
    """A misspelt fault is named before anything is served, with those that exist."""
    with pytest.raises(ValueError, match=r"unknown faults \['htlm'\].*html"):
        Sandbox(faults=Faults({"htlm": 0.1}))
    with pytest.raises(ValueError, match="'teapot'"):
        Sandbox(faults=Faults(script={(5, 1): ["500", "teapot"]}))
    with pytest.raises(ValueError, match="'teapot'"):
        Sandbox().change(faults=Faults({"teapot": 0.1}))
