from __future__ import annotations

import pytest

from tmapi_async.sandbox.catalogue.bounded_cache import BoundedCache


@pytest.fixture
def cache() -> BoundedCache[str]:
    """A cache with space for three entries of size 100."""
    return BoundedCache(350)


def test_the_least_recently_used_value_is_dropped(cache: BoundedCache[str]) -> None:
    """A value that was read stays; the one not read for the longest time goes first."""
    for key in "abc":
        cache.put(key, key.upper(), 100)
    assert cache.get("a") == "A"
    cache.put("d", "D", 100)
    assert [cache.get(key) for key in "abcd"] == ["A", None, "C", "D"]


def test_the_size_is_bounded_and_counted(cache: BoundedCache[str]) -> None:
    """The total size never exceeds the limit, however many values are added."""
    for number in range(50):
        cache.put(number, "x", 100)
        assert cache.size <= 350
    assert len(cache) == 3


def test_one_value_is_kept_whatever_its_size(cache: BoundedCache[str]) -> None:
    """A value larger than the limit replaces all others and stays itself."""
    cache.put("a", "A", 10)
    cache.put("b", "B", 10_000)
    assert (cache.get("a"), cache.get("b")) == (None, "B")
    assert len(cache) == 1


def test_values_of_size_zero_need_space_too() -> None:
    """Empty values are bounded in number."""
    cache: BoundedCache[str] = BoundedCache(100)
    for number in range(1000):
        cache.put(number, "", 0)
    assert len(cache) < 10
