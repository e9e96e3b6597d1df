"""A Postgres server for the tests of exports, and an empty database for each of them."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from clusters import cluster


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """Run a server for all tests of this process."""
    with cluster() as url:
        yield url


@pytest.fixture
def postgres(postgres_server: str) -> str:
    """Lend the URL of a database without tables."""
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute("DROP OWNED BY tester CASCADE")
        connection.execute("CREATE SCHEMA IF NOT EXISTS public")
    return postgres_server
