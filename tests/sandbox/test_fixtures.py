from __future__ import annotations

import subprocess
import sys

import pytest

from tmapi_async.sandbox import Sandbox

USER_CONFTEST = 'pytest_plugins = ["tmapi_async.sandbox.fixtures"]\n'
USER_TEST = '''
import aiohttp

async def test_page(tmapi_sandbox, tmapi_sandboxes):
    """A user's suite gets running sandboxes."""
    other = await tmapi_sandboxes(categories={7: 3})
    async with aiohttp.ClientSession() as session:
        for sandbox, size in ((tmapi_sandbox, 20), (other, 3)):
            cat_id = sandbox.catalogue.category_ids[0]
            query = {"apiToken": "sandbox", "cat_id": cat_id}
            url = sandbox.url + "/1688/category/items"
            async with session.get(url, params=query) as reply:
                assert len((await reply.json())["data"]["items"]) == size
'''


@pytest.mark.slow
def test_sandbox_fixtures_work_in_a_users_suite(tmp_path):
    """The documented line in conftest.py gives a user's suite running sandboxes."""
    (tmp_path / "conftest.py").write_text(USER_CONFTEST)
    (tmp_path / "test_user.py").write_text(USER_TEST)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-o"]
    command += ["asyncio_mode=auto", "-o", "asyncio_default_fixture_loop_scope=function"]
    command += ["-W", "error", "--rootdir", str(tmp_path), str(tmp_path)]
    ran = subprocess.run(  # noqa: S603 - our own suite in a folder of ours
        command, capture_output=True, text=True, timeout=60, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "1 passed" in ran.stdout


async def test_sandbox_fixture_sandboxes_are_apart(tmapi_sandboxes):
    """Each sandbox of a test has its own port and statistics, and shows them."""
    one, two = await tmapi_sandboxes(), await tmapi_sandboxes(seed=2)
    assert isinstance(one, Sandbox)
    assert one.url != two.url
    assert repr(two) == f"<Sandbox {two.url} requests=0 in_flight=0>"
