"""The redactor removes a token from text, however the token is spelled there."""

from __future__ import annotations

import html
import json
import time
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tmapi_async.transport.redaction import HIDDEN, Redactor

if TYPE_CHECKING:
    from collections.abc import Callable

PLAIN = "canary-5up3r53cr3t-t0k3n"
ODD = "a+b/c=d&e%41?\"<'>\\z~!*()"
LONG = "aB3+/=" * 200
TOKENS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=6, max_size=30)

SPELLINGS: dict[str, Callable[[str], str]] = {
    "raw": str,
    "quoted": lambda token: quote(token, safe=""),
    "quoted but slashes": quote,
    "quoted for forms": quote_plus,
    "quoted in lower case": lambda token: "".join(
        c if c.isalnum() else f"%{ord(c):02x}" for c in token
    ),
    "quoted twice": lambda token: quote(quote(token, safe=""), safe=""),
    "quoted thrice": lambda token: quote(quote(quote(token, safe=""), safe=""), safe=""),
    "quoted everywhere": lambda token: "".join(f"%{ord(c):02X}" for c in token),
    "quoted here and there": lambda token: quote(token, safe="+/&'!*()~?"),
    "html": html.escape,
    "html in numbers": lambda token: "".join(f"&#{ord(c)};" for c in token),
    "html in hexadecimal": lambda token: "".join(f"&#x{ord(c):04x};" for c in token),
    "json": lambda token: json.dumps(token)[1:-1],
    "json of php": lambda token: json.dumps(token)[1:-1].replace("/", "\\/"),
    "json in json": lambda token: json.dumps(json.dumps(token)),
    "json in numbers": lambda token: "".join(f"\\u{ord(c):04x}" for c in token),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("token", [PLAIN, ODD, "%41bc%25", "u0041\\u0041"])
def test_the_token_is_removed_in_every_spelling(token: str, spelling: str) -> None:
    """A token that a server sends back does not stay in a message, however it is spelled."""
    echoed = SPELLINGS[spelling](token)
    text = Redactor(token)(f"bad apiToken={echoed}, sorry")
    # JSON in JSON is in quotes of its own.
    assert text.replace('"', "").replace("\\", "") == f"bad apiToken={HIDDEN}, sorry"


@given(TOKENS, st.sampled_from(list(SPELLINGS)), st.text(max_size=40), st.text(max_size=40))
@example("HIDDEN", "raw", "", "")
def test_no_token_survives(token: str, spelling: str, before: str, after: str) -> None:
    """No token is left in a message, whatever surrounds it, and the other text is kept."""
    echoed = SPELLINGS[spelling](token)
    text = Redactor(token)(f"{before}{echoed}{after}")
    assert token not in text.replace(HIDDEN, "")
    assert len(text) <= 300
    assert text.isprintable()


@given(st.text(max_size=1000))
def test_a_message_is_one_short_line(text: str) -> None:
    """A message is one line of at most 300 characters without control characters."""
    out = Redactor(PLAIN)(text)
    assert len(out) <= 300
    assert out.isprintable()
    assert out == out.strip()
    if text.isprintable() and "  " not in text and len(text) <= 300:
        assert out == text.strip()


def test_a_long_message_is_cut_after_the_token_is_removed() -> None:
    """A token at the place where a message is cut leaves no part of itself."""
    for start in range(250, 305):
        text = Redactor(PLAIN)("x" * start + PLAIN + "y" * 50)
        assert "canary" not in text
        assert len(text) <= 300


def test_a_token_as_long_as_any_is_removed_in_time() -> None:
    """The longest token that is accepted is removed as well."""
    assert Redactor(LONG)(f"x {quote(LONG)} y") == f"x {HIDDEN} y"


HEAD = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9."
HOSTILE_TEXTS: dict[str, Callable[[str, int], str]] = {
    "beginnings of the token": lambda token, size: token[:-1] * (size // len(token)),
    "another token": lambda token, size: (token[:-4] + "XXXX ") * (size // len(token)),
    "backslashes": lambda _, size: "\\" * size,
    "backslashes within": lambda token, size: token[0] + "\\" * size + token[1:],
    "percent signs": lambda _, size: "%25" * (size // 3),
    "zeros": lambda _, size: "&#" + "0" * size,
    "quoted beginnings": lambda token, size: quote(token[:-1], safe="") * (size // len(token)),
}


@pytest.mark.parametrize("hostile", HOSTILE_TEXTS)
@pytest.mark.parametrize("token", [PLAIN, ODD, HEAD + "eyJ1aWQiOjQyfQ.sigA1b2C3d4", "%25" * 40])
def test_the_time_grows_no_faster_than_the_text(token: str, hostile: str) -> None:
    """Eight times the text takes at most 24 times the processor time: no byte freezes a process."""
    redact, text = Redactor(token), HOSTILE_TEXTS[hostile]
    redact("the pattern is made when it is first needed")

    def seconds(size: int) -> float:
        message = text(token, size)
        start = time.process_time()
        for _ in range(3):
            redact(message)
        return time.process_time() - start

    # A floor keeps the resolution of the clock out of the ratio.
    assert seconds(16_000) <= 24 * max(seconds(2_000), 0.004)


def test_a_token_at_the_bound_of_what_is_looked_at_is_not_shown_in_part() -> None:
    """White space before a token that stands at the bound does not bring its beginning up."""
    for spaces in range(16_380, 16_400):
        assert PLAIN[:6] not in Redactor(PLAIN)(" " * spaces + PLAIN * 50)


def test_a_redactor_shows_nothing() -> None:
    """A redactor in a traceback with locals does not show what it hides."""
    redactor = Redactor(ODD)
    redactor("used")
    assert repr(redactor) == "Redactor()"
    assert not hasattr(redactor, "__dict__")
    assert Redactor("")("a text") == "a text"
