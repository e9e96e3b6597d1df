"""Where a worker finds the token of an account; never the token itself."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import msgspec

from tmapi_async.errors import InvalidRequestError
from tmapi_async.transport.credentials import check_token


class TokenSource(msgspec.Struct, frozen=True):
    """Where workers find the tokens, one for each account, in the order of the accounts.

    Attributes:
        kind: `"env"`, a variable of the environment, or `"file"`, both on the worker.
        name: Name of the variable, or path of the file. Tokens are separated by white space.
    """

    kind: Literal["env", "file"]
    name: str

    @classmethod
    def parse(cls, text: str) -> TokenSource:
        """Read `env:NAME` or `file:PATH`.

        Raises:
            InvalidRequestError: It is neither.
        """
        kind, _, name = text.partition(":")
        if kind not in ("env", "file") or not name:
            raise InvalidRequestError(
                f"a place of tokens is env:NAME or file:PATH (on the workers), not {text!r}"
            )
        return cls("env" if kind == "env" else "file", name)

    def read(self, number: int) -> str:
        """The token of an account, read on this machine.

        Args:
            number: Number of the account, from 0.

        Raises:
            InvalidRequestError: There is none; the message shows nothing of what is there.
        """
        tokens = self._text().split()
        if number >= len(tokens):
            raise InvalidRequestError(
                f"{self} holds {len(tokens)} tokens on this worker, and number {number + 1} is "
                "asked for"
            )
        return check_token(tokens[number])

    def _text(self) -> str:
        if self.kind == "env":
            return os.environ.get(self.name, "")
        try:
            return Path(self.name).read_text("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or type(error).__name__
            raise InvalidRequestError(f"{self} cannot be read on this worker: {reason}") from None

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}"
