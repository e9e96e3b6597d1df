"""The session of an export with Postgres: URL, settings, and messages without secrets."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import pytest

from tests.support.journals import body, of_rows, row, write
from tmapi_async.export import ExportError, ExportRefusedError, export_journal
from tmapi_async.export.postgres_session import PostgresSession, describe_url

TITLE = "2025\u590f\u5b63\u65b0\u6b3e\u8fde\u8863\u88d9"


def titles(url: str) -> list[str]:
    """Return the titles in the table, read with an encoding that shows them as stored."""
    with psycopg.connect(url, client_encoding="UTF8") as connection:
        return [title for (title,) in connection.execute("SELECT title FROM items").fetchall()]


def alter(url: str, *statements: str) -> None:
    """Run statements outside of a transaction, as the administrator of the server."""
    admin = url.replace("tester:s3cret%2F%2B@", "admin@")
    with psycopg.connect(admin, autocommit=True) as connection:
        for text in statements:
            connection.execute(text.encode())


@contextmanager
def role_settings(url: str, **settings: str) -> Iterator[None]:
    """Give the role of the tests settings, as a managed server does."""
    alter(url, *(f"ALTER ROLE tester SET {name} = '{value}'" for name, value in settings.items()))
    try:
        yield
    finally:
        alter(url, "ALTER ROLE tester RESET ALL")


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    """Return a journal with one item whose title is Chinese."""
    return of_rows(tmp_path / "a.journal", row(1, title=TITLE))


def test_the_encoding_of_the_session_is_ours(
    journal: Path, postgres: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Titles arrive as sent, whatever encoding the environment, the URL or the role sets."""
    for encoding in ("LATIN1", "GBK"):
        monkeypatch.setenv("PGCLIENTENCODING", encoding)
        export_journal(journal, [f"{postgres}&table=items"])
        assert titles(postgres) == [TITLE]
        alter(postgres, "TRUNCATE items")
    monkeypatch.delenv("PGCLIENTENCODING")
    export_journal(journal, [f"{postgres}&client_encoding=latin1"])
    assert titles(postgres) == [TITLE]
    alter(postgres, "TRUNCATE items")
    with role_settings(postgres, client_encoding="LATIN1"):
        export_journal(journal, [postgres])
    assert titles(postgres) == [TITLE]


def database_of(url: str, encoding: str) -> str:
    """Make a database with an encoding, and return its URL."""
    name = f"of_{encoding.lower()}"
    alter(
        url,
        f"DROP DATABASE IF EXISTS {name}",
        f"CREATE DATABASE {name} OWNER tester ENCODING '{encoding}' TEMPLATE template0 LOCALE 'C'",
    )
    return url.replace("/shop", f"/{name}")


def test_a_database_that_cannot_hold_chinese_is_refused(journal: Path, postgres: str) -> None:
    """The refusal comes before the table is made, and names the encoding."""
    url = database_of(postgres, "LATIN1")
    with pytest.raises(ExportRefusedError, match="encoding LATIN1, which cannot store Chinese"):
        export_journal(journal, [url])
    with psycopg.connect(url) as connection:
        assert connection.execute("SELECT to_regclass('items')").fetchone() == (None,)


def test_a_database_with_a_chinese_encoding_holds_the_rows(tmp_path: Path, postgres: str) -> None:
    """EUC_CN stores its own characters; a character that it lacks is an error with advice."""
    url = database_of(postgres, "EUC_CN")
    export_journal(of_rows(tmp_path / "a.journal", row(1, title=TITLE)), [url])
    assert titles(url) == [TITLE]
    smile = of_rows(tmp_path / "b.journal", row(2, title="\U0001f600"))
    with pytest.raises(ExportError, match="use a database with the encoding UTF8"):
        export_journal(smile, [url])
    assert titles(url) == [TITLE]


def test_time_limits_of_the_role_are_lifted_for_the_export(tmp_path: Path, postgres: str) -> None:
    """Limits of a managed server do not end an export, and hold for other sessions."""
    names = ("statement_timeout", "idle_in_transaction_session_timeout", "lock_timeout")
    with role_settings(postgres, **dict.fromkeys(names, "40ms")):
        session = PostgresSession(postgres, "a database")
        with closing(session.connection):
            for name in names:
                assert session.cursor.execute(f"SHOW {name}".encode()).fetchone() == ("0",)
            session.connection.rollback()
            for name in names:  # a pool may give the session to another client
                assert session.cursor.execute(f"SHOW {name}".encode()).fetchone() == ("40ms",)
        with pytest.raises(psycopg.errors.QueryCanceled), psycopg.connect(postgres) as other:
            other.execute("SELECT pg_sleep(1)")
        pages = [body([row(n * 20 + i) for i in range(1, 21)]) for n in range(200)]
        done = export_journal(write(tmp_path / "long.journal", {7: pages}), [postgres])
    assert done.destinations[0].inserted == 4000


def test_a_strict_isolation_of_the_role_is_not_taken_over(postgres: str) -> None:
    """The merge needs READ COMMITTED: stricter levels fail beside another session."""
    with role_settings(postgres, default_transaction_isolation="serializable"):
        session = PostgresSession(postgres, "a database")
        with closing(session.connection):
            level = session.cursor.execute("SHOW transaction_isolation").fetchone()
    assert level == ("read committed",)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("pgbouncer=true", "the option pgbouncer, which"),
        ("sslmode=require&schema=public", "the option schema, which .*--table SCHEMA.NAME"),
        ("pgbouncer=true&connection_limit=1", "the options pgbouncer, connection_limit, which"),
    ],
)
def test_options_of_other_clients_are_named(options: str, message: str) -> None:
    """URL options that libpq does not know are named, without their values."""
    with pytest.raises(ExportRefusedError, match=message) as raised:
        describe_url(f"postgresql://me:s3cret@host/db?{options}")
    assert "s3cret" not in str(raised.value)
    assert "true" not in str(raised.value)


@pytest.mark.parametrize("character", "@/?#:%&,=+ []\\")
@pytest.mark.parametrize("tail", ["", "@", "/", "?"])
def test_no_part_of_a_password_that_is_not_encoded_is_shown(character: str, tail: str) -> None:
    """Whatever special character the password contains, messages show no part of the password."""
    password = f"s3cr{character}tpart{tail}"
    for rest in ("host/db", "host:5432/db?sslmode=require", "/db?host=/run"):
        try:
            text = describe_url(f"postgresql://me:{password}@{rest}")
        except ExportRefusedError as error:
            text = str(error)
        assert "s3cr" not in text
        assert "tpart" not in text


def test_an_address_of_libpq_in_its_full_form_is_accepted() -> None:
    """Several hosts, sockets, IPv6 and values with an @ in options stay allowed."""
    for url, text in {
        "postgresql://a:1,b:2/db": "postgresql://a,b:1,2/db",
        "postgresql:///db?host=/run&user=me@corp": "postgresql://me@corp@/run/db",
        "postgresql://me%40corp:pw%40@[::1]:5432/db": "postgresql://me@corp@::1:5432/db",
        "postgresql://host": "postgresql://host/",
    }.items():
        assert describe_url(url) == text


def test_errors_of_the_server_quote_no_row(tmp_path: Path, postgres: str) -> None:
    """The message of a server's error names the reason; the row that caused it stays out."""
    export_journal(of_rows(tmp_path / "a.journal", row(1, title="first")), [postgres])
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("ALTER TABLE items ADD CHECK (title <> 'hidden title')")
    other = of_rows(tmp_path / "b.journal", row(2, title="hidden title"))
    with pytest.raises(ExportError, match="violates check constraint") as raised:
        export_journal(other, [postgres])
    assert "hidden title" not in str(raised.value)
