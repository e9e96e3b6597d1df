"""Reproducible random numbers: every decision of the sandbox is a pure function of its seed.

Decisions must not depend on timing or order, so each one is a hash of the seed and the subject of
the decision. Python's own `hash` of text differs between processes, and `random.Random` is slow to
seed.
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
    """Return a 64-bit number that depends on the seed and the subject of the decision.

    Args:
        seed: Seed of the sandbox.
        about: The subject: integers, strings, None or tuples of them.
    """
    text = repr((seed, about)).encode()
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "little")


def chance(seed: int, *about: object) -> float:
    """Return a number in [0, 1) that depends on the seed and the subject."""
    return (mix(seed, *about) >> 11) / 2**53


def coin(seed: int, *about: object) -> bool:
    """Return True or False with equal probability, depending on the seed and the subject."""
    return mix(seed, *about) & 1 == 1


def bits(seed: int, position: int) -> tuple[int, int, int]:
    """Return three 64-bit numbers for a position of the catalogue; faster than `mix`."""
    packed = _PAIR.pack(seed & _MASK, position)
    first, second, third = _THREE.unpack(blake2b(packed, digest_size=24).digest())
    return first, second, third


def normal(uniform: float) -> float:
    """Return the value of the standard normal distribution at a quantile in [0, 1)."""
    return _NORMAL.inv_cdf(min(max(uniform, 1e-12), 1 - 1e-12))
