"""Reproducible chance: every decision of the sandbox is a pure function of its seed.

Python's own `hash` of text changes between processes and `random.Random` is slow to seed, so
decisions that must not depend on timing or order are hashed from what they are about.
"""

from __future__ import annotations

import struct
from hashlib import blake2b
from statistics import NormalDist

_PAIR = struct.Struct("<QQ")
_THREE = struct.Struct("<QQQ")
_MASK = (1 << 64) - 1
_NORMAL = NormalDist()


def mix(seed: int, *about: object) -> int:
    """A 64-bit number that depends on the seed and on what the decision is about.

    Args:
        seed: The sandbox's seed.
        about: Integers, strings, None or tuples of them.
    """
    text = repr((seed, about)).encode()
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "little")


def chance(seed: int, *about: object) -> float:
    """A number in [0, 1) that depends on the seed and on what the decision is about."""
    return (mix(seed, *about) >> 11) / 2**53


def coin(seed: int, *about: object) -> bool:
    """A fair coin that depends on the seed and on what the decision is about."""
    return mix(seed, *about) & 1 == 1


def bits(seed: int, position: int) -> tuple[int, int, int]:
    """Three 64-bit numbers for one position of the catalogue (the quick form of `mix`)."""
    packed = _PAIR.pack(seed & _MASK, position)
    first, second, third = _THREE.unpack(blake2b(packed, digest_size=24).digest())
    return first, second, third


def normal(uniform: float) -> float:
    """The standard normal value at a quantile in [0, 1)."""
    return _NORMAL.inv_cdf(min(max(uniform, 1e-12), 1 - 1e-12))
