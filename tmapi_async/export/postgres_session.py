"""Session with a Postgres server: its URL, its settings, and its errors as messages.

A session takes settings from the environment, the URL, the role and the database. Those that could
change the stored text or end a long export are set here, for the transaction of the export only:
a pool may give the session to another client afterwards.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import unquote

import psycopg
from psycopg import errors, pq
from psycopg.conninfo import conninfo_to_dict

from tmapi_async.errors import ExportError, ExportRefusedError

_CONNECT_SECONDS = 15
_HIDDEN = "[password]"
_ADVICE = (
    "write it like postgresql://USER@HOST:PORT/DATABASE and percent-encode special characters in "
    "the user name and the password (@ as %40, / as %2F, ? as %3F, : as %3A, # as %23, % as %25)"
)
_OPTION_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,39}")

# The value 0 removes a limit. An export is one long statement, and another export of the same
# table may have to end first. The last two limits are unknown to older servers.
_LIFT_LIMITS = """
SELECT set_config(name, '0', true) FROM pg_catalog.pg_settings
WHERE name IN ('statement_timeout', 'idle_in_transaction_session_timeout', 'lock_timeout',
               'transaction_timeout', 'idle_session_timeout')
"""
_SET_ENCODING = "SELECT set_config('client_encoding', 'UTF8', true)"
_SAMPLE = "\u8fde\u8863\u88d9"  # Chinese for "dress", in GB2312 and so in every Chinese encoding


def describe_url(url: str) -> str:
    """Return a database URL for messages: user, host, port and database, without the password.

    Raises:
        ExportRefusedError: The URL cannot be read, or a part of the password may have been read as
            something else. The message shows nothing of the URL but names of options.
    """
    _check_special_characters(url)
    try:
        parts = conninfo_to_dict(url)
    except psycopg.Error:
        # The message of libpq may quote the URL with its password.
        raise ExportRefusedError(_parse_advice(url)) from None
    ports = str(parts.get("port") or "")
    if ports.replace(",", "") and not ports.replace(",", "").isdigit():
        # Only an unescaped "/" or "?" in the password makes a port of text.
        raise ExportRefusedError(f"the port in the database URL is not a number: {_ADVICE}")
    user = f"{parts['user']}@" if parts.get("user") else ""
    port = f":{ports}" if ports else ""
    return f"postgresql://{user}{parts.get('host') or ''}{port}/{parts.get('dbname') or ''}"


def _check_special_characters(url: str) -> None:
    """Refuse a URL whose password has an unescaped "@": libpq reads the rest as a host.

    "@" may stand once, before the first "/" of the address. In options libpq accepts it.
    """
    address = url.partition("?")[0].partition("://")[2]
    authority = address.partition("/")[0]
    if address.count("@") > min(1, authority.count("@")):
        raise ExportRefusedError(
            "the database URL has an @ in a place where none is allowed, which usually belongs "
            f"to the password: {_ADVICE}"
        )


def _parse_advice(url: str) -> str:
    """Return the advice for a URL that libpq cannot parse."""
    query = url.partition("?")[2]
    known = {option.keyword.decode() for option in pq.Conninfo.get_defaults()} | {"ssl"}
    names = [unquote(option.partition("=")[0]) for option in query.split("&") if option]
    unknown = [name for name in dict.fromkeys(names) if name not in known]
    # An unescaped "?" in the password makes options of the rest of the URL, "@" included.
    if "@" in query or not unknown or not all(map(_OPTION_NAME.fullmatch, unknown)):
        return f"the database URL cannot be read: {_ADVICE}"
    options, them = ("options", "them") if len(unknown) > 1 else ("option", "it")
    advice = ". For a schema, give the table as --table SCHEMA.NAME" if "schema" in unknown else ""
    return (
        f"the database URL has the {options} {', '.join(unknown)}, which libpq does not know "
        f"(Prisma, Supabase and other clients have options of their own): remove {them}{advice}"
    )


class PostgresSession:
    """An open connection in the transaction of an export.

    Args:
        url: URL for libpq.
        to: Name of the destination for messages, without the password.

    Raises:
        ExportRefusedError: The database cannot store Chinese.
        ExportError: The server cannot be reached, or refuses a setting.
    """

    def __init__(self, url: str, to: str) -> None:
        self._to = to
        settings = conninfo_to_dict(url)
        passwords = [str(settings.get(name) or "") for name in ("password", "sslpassword")]
        self._secrets = {*passwords, *map(unquote, passwords)} - {""}
        with self.errors("nothing was written"):
            self.connection = psycopg.connect(
                url,
                application_name="tmapi export",
                client_encoding="UTF8",
                connect_timeout=settings.get("connect_timeout") or _CONNECT_SECONDS,
                prepare_threshold=None,  # pools that share sessions lose prepared statements
            )
        try:
            with self.errors("nothing was written"):
                # A stricter level fails where another session has changed the same rows.
                self.connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
                self.cursor: psycopg.Cursor[Any] = self.connection.cursor()
                self.cursor.execute(_LIFT_LIMITS)
                self.cursor.execute(_SET_ENCODING)
                self._check_encoding()
        except BaseException:
            self.connection.close()
            raise

    def _check_encoding(self) -> None:
        encoding = self.connection.info.parameter_status("server_encoding")
        try:
            self.cursor.execute("SELECT %s::text", [_SAMPLE])
        except (errors.UntranslatableCharacter, errors.FeatureNotSupported):
            raise ExportRefusedError(
                f"{self._to}: the database has the encoding {encoding}, which cannot store "
                "Chinese: use a database made with CREATE DATABASE NAME ENCODING 'UTF8' TEMPLATE "
                "template0; nothing was written"
            ) from None

    @contextmanager
    def errors(self, consequence: str) -> Iterator[None]:
        """Raise errors of the database as `ExportError`, without the password and without rows.

        Args:
            consequence: End of the message: state of the table, and what to do.
        """
        try:
            yield
        except errors.UntranslatableCharacter as error:
            raise ExportError(
                f"{self._to}: {self._message(error)}; the table is unchanged; use a database with "
                "the encoding UTF8"
            ) from None
        except psycopg.Error as error:
            raise ExportError(f"{self._to}: {self._message(error)}; {consequence}") from None

    def _message(self, error: psycopg.Error) -> str:
        # The other fields of a server's error quote rows.
        text = error.diag.message_primary or str(error)
        message = " ".join(text.split()) or type(error).__name__
        for secret in self._secrets:
            message = message.replace(secret, _HIDDEN)
        return message
