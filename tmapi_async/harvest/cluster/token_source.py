"""Place where a worker finds the token of an account. Never holds the token itself."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import msgspec

from tmapi_async.errors import InvalidRequestError
from tmapi_async.errors.quantities import quantity
from tmapi_async.transport.credentials import check_token
from tmapi_async.transport.frames import forgets_locals


class TokenSource(msgspec.Struct, frozen=True):
    """Place where workers find the tokens, one for each account, in the order of the accounts.

    Attributes:
        kind: `"env"` for an environment variable, or `"file"` for a file, both on the worker.
        name: Name of the variable, or path of the file. Tokens are separated by white space.
    """

    kind: Literal["env", "file"]
    name: str

    @classmethod
    @forgets_locals
    def parse(cls, text: str) -> TokenSource:
        """Read `env:NAME` or `file:PATH`.

        Raises:
            InvalidRequestError: The text has neither form.
        """
        kind, _, name = text.partition(":")
        if kind not in ("env", "file") or not name:
            raise InvalidRequestError(
                "a token source is env:NAME or file:PATH (on the workers); the value "
                "that was given is neither"
            )
        return cls("env" if kind == "env" else "file", name)

    @forgets_locals
    def read(self, number: int) -> str:
        """Return the token of an account, read on this machine.

        Args:
            number: Number of the account, from 0.

        Raises:
            InvalidRequestError: There is no such token. The message shows nothing of the content.
        """
        tokens = self._text().split()
        if number >= len(tokens):
            count = quantity(len(tokens), "token")
            raise InvalidRequestError(
                f"{self} holds {count} on this worker, but account {number + 1} needs one; "
                "name one token for each account"
            )
        return check_token(tokens[number], f"token {number + 1} of {self}")

    def _text(self) -> str:
        if self.kind == "env":
            return os.environ.get(self.name, "")
        try:
            return Path(self.name).expanduser().read_text("utf-8-sig")
        except (OSError, UnicodeDecodeError, RuntimeError) as error:  # no such user
            reason = getattr(error, "strerror", None) or type(error).__name__
        # Not inside the block: the error of the decoder holds the bytes of the file.
        raise InvalidRequestError(f"{self} cannot be read on this worker: {reason}")

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}"
