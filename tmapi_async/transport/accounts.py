"""Tells accounts apart without showing their tokens."""

from __future__ import annotations

import hashlib


def digest(token: str) -> str:
    """A short name of an account, the same on every machine; the token cannot be read from it.

    Args:
        token: The account's token.

    Returns:
        32 hexadecimal digits.
    """
    keyed = hashlib.blake2b(token.encode(), digest_size=16, person=b"tmapi account")
    return keyed.hexdigest()
