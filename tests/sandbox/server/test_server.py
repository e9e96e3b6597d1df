from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import socket
import ssl

import aiohttp
import pytest
import trustme

from tmapi_async.sandbox import Config, Drift, Faults, Filters, Listing, Sandbox
from tmapi_async.sandbox.server.backend import Backend

SECRET = "canary-5f3a"  # noqa: S105 - planted to be looked for, opens nothing


async def test_sandbox_walk_finds_the_catalogue(tmapi_sandboxes, ask):
    """Following has_next_page over every category brings every item exactly once, in order."""
    sandbox = await tmapi_sandboxes(categories=30, mean=40.0)
    for cat_id in sandbox.catalogue:
        rows = await ask.walk(sandbox, cat_id)
        assert [row["item_id"] for row in rows] == sandbox.catalogue.item_ids(cat_id)
        assert rows == [sandbox.catalogue.item(cat_id, i) for i in range(len(rows))]
    stats = sandbox.stats
    assert stats.requests == stats.billed == stats.pages_served == sandbox.catalogue.total_pages
    assert (stats.pages_served_twice, stats.in_flight, stats.peak_in_flight) == (0, 0, 1)
    assert stats.codes == {"200": stats.requests}


async def test_sandbox_page_echoes_what_was_asked(tmapi_sandboxes, ask):
    """A page has its number, the page size of the server and the requested filters."""
    sandbox = await tmapi_sandboxes(categories={7: 45}, page_size=10)
    data = await ask.page(sandbox, 7, 2, free_shipping="true", super_factory="false")
    assert (data["page"], data["page_size"]) == (2, 10)
    assert data["filters"] == {"free_shipping": True, "super_factory": False}
    assert (await ask.page(sandbox, 7))["filters"] == {}


async def test_sandbox_filtered_walk_finds_what_passes(tmapi_sandboxes, ask):
    """A filtered listing brings the items that pass the filters, and no others."""
    sandbox = await tmapi_sandboxes(categories={7: 90})
    rows = await ask.walk(sandbox, 7, free_shipping="true", support_dropshipping="true")
    filters = Filters(free_shipping=True, support_dropshipping=True)
    assert [row["item_id"] for row in rows] == sandbox.catalogue.item_ids(7, filters)


async def test_sandbox_page_beyond_the_end_is_empty_and_billed(tmapi_sandboxes, ask):
    """A page past the end, or of an unknown category, is a success without rows."""
    sandbox = await tmapi_sandboxes(categories={7: 20})
    for cat_id, page in ((7, 2), (7, 10**15), (8, 1)):
        data = await ask.page(sandbox, cat_id, page)
        assert (data["items"], data["has_next_page"], data["page"]) == ([], False, page)
    assert sandbox.stats.billed == 3


async def test_sandbox_unknown_category_may_be_an_error(tmapi_sandboxes, ask):
    """With `unknown="422"`, an unknown category gets code 422."""
    sandbox = await tmapi_sandboxes(categories={7: 20}, unknown="422")
    assert (await ask.get(sandbox, cat_id=8))[0] == 422
    assert (await ask.get(sandbox, cat_id=7))[0] == 200


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ({}, "cat_id is required"),
        ({"cat_id": ""}, "cat_id is required"),
        ({"cat_id": "0"}, "cat_id must be a positive integer"),
        ({"cat_id": "-5"}, "cat_id must be a positive integer"),
        ({"cat_id": "dresses"}, "cat_id must be a positive integer"),
        ({"cat_id": "\uff11\uff12"}, "cat_id must be a positive integer"),
        ({"cat_id": str(2**63)}, "cat_id must be a positive integer"),
        ({"cat_id": "9" * 5000}, "cat_id must be a positive integer"),
        ({"cat_id": "7", "page": "0"}, "page must be a positive integer"),
        ({"cat_id": "7", "page": "1.5"}, "page must be a positive integer"),
        ({"cat_id": "7", "free_shipping": "True"}, "free_shipping must be true or false"),
        ({"cat_id": "7", "super_factory": "1"}, "super_factory must be true or false"),
    ],
)
async def test_sandbox_bad_parameters_are_422(tmapi_sandbox, ask, query, named):
    """A bad parameter gets code 422, is named, costs nothing and takes no slot."""
    status, _, body = await ask.get(tmapi_sandbox, **query)
    assert status == 422
    assert b'"code":422' in body
    assert named.encode() in body
    assert (tmapi_sandbox.stats.billed, tmapi_sandbox.stats.peak_in_flight) == (0, 0)


@pytest.mark.parametrize(
    ("style", "statuses"), [("status", {401}), ("body", {200}), ("mixed", {200, 401})]
)
async def test_sandbox_token_is_checked(tmapi_sandboxes, ask, style, statuses):
    """A missing or wrong token gets body code 4011 in every style."""
    sandbox = await tmapi_sandboxes(style=style)
    replies = [await ask.get(sandbox, cat_id=1, token=token) for token in [None, "wrong"] * 12]
    assert {status for status, _, _ in replies} == statuses
    assert all(b'"code":4011' in body for _, _, body in replies)
    assert b"no API key found in request" in replies[0][2]
    assert sandbox.stats.codes == {"401": 24}


async def test_sandbox_token_may_come_in_a_header(tmapi_sandboxes, ask):
    """The header `apikey` is accepted as the query is, and several tokens may be valid."""
    one, two = "one", "two"
    sandbox = await tmapi_sandboxes(token=(one, two))
    assert (await ask.get(sandbox, cat_id=1, token=two))[0] == 200
    assert (await ask.get(sandbox, cat_id=1, token=None, headers={"apikey": one}))[0] == 200
    assert (await ask.get(sandbox, cat_id=1, token=None, headers={"apikey": "no"}))[0] == 401
    assert (await ask.get(sandbox, cat_id=1))[0] == 401


async def test_sandbox_unknown_path_has_no_route(tmapi_sandbox, ask):
    """Another path or method gets HTTP 404 with a bare message, whatever the style."""
    status, _, body = await ask.get(tmapi_sandbox, "/1688/category/item", cat_id=1)
    assert (status, body) == (404, b'{"message":"no Route matched with those values"}')
    url = tmapi_sandbox.url + "/1688/category/items?cat_id=1&apiToken=sandbox"
    async with ask.session.post(url) as reply:
        assert reply.status == 404


@pytest.mark.parametrize(
    ("options", "status", "body"),
    [
        ({}, 439, b'"code":439'),
        ({"style": "body"}, 200, b'"code":439'),
        ({"balance": "status", "style": "body"}, 439, b'"code":439'),
        ({"balance": "body"}, 200, b'"code":439'),
        ({"balance": "bare"}, 200, b'{"message":"Insufficient API balance"}'),
        ({"balance": "bare", "bare_status": 402}, 402, b'{"message":"Insufficient API balance"}'),
    ],
)
async def test_sandbox_spent_balance_takes_each_form(tmapi_sandboxes, ask, options, status, body):
    """After the quota every request gets 439 in the configured form, until it is topped up."""
    sandbox = await tmapi_sandboxes(quota=2, **options)
    assert [(await ask.get(sandbox, cat_id=1))[0] for _ in range(2)] == [200, 200]
    refused = await ask.get(sandbox, cat_id=1)
    assert refused[0] == status
    assert body in refused[2]
    assert sandbox.stats.billed == 2
    sandbox.quota = 3
    assert b'"code":200' in (await ask.get(sandbox, cat_id=1))[2]


async def test_sandbox_mixed_style_and_text_vary(tmapi_sandboxes, ask):
    """In the mixed style errors come as a status or in the body, with either text field."""
    sandbox = await tmapi_sandboxes(style="mixed", text="mixed", faults=Faults({"500": 1.0}))
    replies = [await ask.get(sandbox, cat_id=1, page=page) for page in range(1, 40)]
    assert {status for status, _, _ in replies} == {200, 500}
    assert {b'"msg"' in body for _, _, body in replies} == {True, False}
    assert all(b'"code":500' in body for _, _, body in replies)


def test_sandbox_latency_follows_from_the_seed():
    """Log-normal latency has the configured mean and is the same for the same attempt."""

    def seconds():
        backend = Backend(Config(latency=0.05, latency_sigma=0.6))
        query = ({"apiToken": "sandbox", "cat_id": "7", "page": str(p)} for p in range(1, 1500))
        return [backend.admit("GET", "/1688/category/items", q, "").seconds for q in query]

    one = seconds()
    assert one == seconds()
    assert 0.045 < sum(one) / len(one) < 0.055
    assert max(one) > 0.15


async def test_sandbox_outcome_does_not_depend_on_timing(tmapi_sandboxes, ask):
    """The same requests meet the same faults whether sent one by one or all at once."""
    rates = {"417": 0.2, "500": 0.2, "html": 0.1}
    one, two = [await tmapi_sandboxes(faults=Faults(rates)) for _ in range(2)]
    in_turn = [(await ask.get(one, cat_id=1, page=page))[2] for page in range(1, 61)]
    at_once = await asyncio.gather(*(ask.get(two, cat_id=1, page=page) for page in range(1, 61)))
    assert in_turn == [body for _, _, body in at_once]
    assert one.stats.codes == two.stats.codes
    assert set(one.stats.codes) == {"200", "417", "500", "html"}


async def test_sandbox_counts_what_was_paid_twice(tmapi_sandboxes, ask):
    """A page billed twice counts as served twice, unless a fault damaged one reply."""
    listing = Listing("/1688/category/items", (("cat_id", "7"),))
    script = {(7, 1): ["data-null", "500"]}
    sandbox = await tmapi_sandboxes(categories={7: 60}, faults=Faults(script=script))
    for page in (1, 1, 1, 2, 3, 3, 3):
        await ask.get(sandbox, cat_id=7, page=page)
    stats = sandbox.stats
    assert stats.asked == {listing: {1: 3, 2: 1, 3: 3}}
    assert stats.served == {listing: {1: 1, 2: 1, 3: 3}}
    assert (stats.billed, stats.pages_served_twice, stats.extra_servings) == (6, 1, 2)


async def test_sandbox_shows_and_changes_itself_over_http(tmapi_sandboxes, ask):
    """Another process reads statistics and catalogue, and changes what may change, by HTTP."""
    sandbox = await tmapi_sandboxes(categories={7: 45})
    await ask.get(sandbox, cat_id=7)
    async with ask.session.get(sandbox.url + "/__stats__") as reply:
        statistics = await reply.json()
    assert (statistics["requests"], statistics["billed"], statistics["codes"]) == (1, 1, {"200": 1})
    async with ask.session.get(sandbox.url + "/__catalogue__") as reply:
        assert (await reply.json())["categories"] == {"7": 45}
    async with ask.session.post(sandbox.url + "/__set__", json={"limit": 3}) as reply:
        assert (await reply.json())["limit"] == 3
    assert sandbox.limit == 3
    for bad in ({"limit": -1}, {"token": "mine"}, {"limit": "many"}, []):
        async with ask.session.post(sandbox.url + "/__set__", json=bad) as reply:
            assert (reply.status, sandbox.limit) == (422, 3)
    async with ask.session.get(sandbox.url + "/__unknown__") as reply:
        assert reply.status == 404


async def test_sandbox_never_shows_its_tokens(tmapi_sandboxes, ask, caplog):
    """No record, repr or statistic holds a token, accepted or not."""
    caplog.set_level(logging.DEBUG)
    rates = {"html": 0.2, "truncated": 0.2, "cut": 0.2, "redirect": 0.2}
    sandbox = await tmapi_sandboxes(token=SECRET, faults=Faults(rates))
    for page in range(1, 30):
        for token in (SECRET, SECRET + "-wrong"):
            try:
                _, headers, body = await ask.get(sandbox, cat_id=1, page=page, token=token)
            except aiohttp.ClientError:
                continue
            assert SECRET.encode() not in body
            assert SECRET not in str(headers)
    texts = (repr(sandbox), repr(sandbox.config), str(sandbox.stats), caplog.text)
    assert not [text for text in texts if SECRET in text]


async def test_sandbox_drifts_and_spoils_rows_over_the_wire(tmapi_sandboxes, ask):
    """Pages with drift carry the same items; bad rows are those that Drift names."""
    drift = Drift(rows=0.5, bad_rows=0.1, envelopes=0.5)
    sandbox = await tmapi_sandboxes(categories={7: 200}, drift=drift)
    ids = sandbox.catalogue.item_ids(7)
    rows, page = [], 0
    while len(rows) < 200:
        page += 1
        _, _, body = await ask.get(sandbox, cat_id=7, page=page)
        rows += json.loads(body)["data"]["items"]
    for item_id, row in zip(ids, rows, strict=True):
        if drift.bad_shape_of(1, item_id) is None:
            assert int(row["item_id"]) == item_id


async def test_sandbox_serves_https(tmapi_sandboxes):
    """With an SSL context the sandbox serves https under the certificate it was given."""
    authority, client = trustme.CA(), ssl.create_default_context()
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(server)
    authority.configure_trust(client)
    sandbox = await tmapi_sandboxes(ssl=server)
    assert sandbox.url.startswith("https://127.0.0.1:")
    url = sandbox.url + "/__stats__"
    async with aiohttp.ClientSession() as session, session.get(url, ssl=client) as reply:
        assert reply.status == 200


async def test_sandbox_compresses_if_asked(tmapi_sandboxes, ask):
    """With `compress`, a client that accepts gzip gets it, and another one does not."""
    sandbox = await tmapi_sandboxes(categories={7: 5}, compress=True)
    packed = await ask.get(sandbox, cat_id=7)
    plain = await ask.get(sandbox, cat_id=7, headers={"Accept-Encoding": "identity"})
    assert packed[1]["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in plain[1]
    assert packed[2] == plain[2]


async def test_sandbox_says_what_it_waited_for(tmapi_sandbox):
    """A condition that does not come true ends in an error with the statistics."""
    with pytest.raises(TimeoutError, match="'requests': 0"):
        await tmapi_sandbox.until(lambda stats: stats.requests == 1, within=0.01)


def test_sandbox_must_be_started():
    """Reading the URL of a stopped sandbox is an error that says what to do."""
    with pytest.raises(RuntimeError, match="async with"):
        _ = Sandbox().url


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"style": "loud"}, "style must be one of"),
        ({"endless": {5: "often"}}, r"endless\[5\] must be one of"),
        ({"latency": -1}, "latency must be 0 or more"),
        ({"repeats": 1.5}, "repeats must be a probability"),
        ({"quota": -1}, "quota must be 0 or more"),
        ({"port": 70000}, "port must be 0 to 65535"),
        ({"token": ""}, "at least one token"),
        ({"token": ()}, "at least one token"),
        ({"bodies": "/nonexistent"}, "/nonexistent: "),
    ],
)
def test_sandbox_options_are_validated(options, message):
    """A bad value is refused before anything is bound, saying what is allowed."""
    with pytest.raises(ValueError, match=message):
        Sandbox(**options)


def test_sandbox_unknown_option_suggests_the_right_one():
    """A misspelt option is refused with the nearest name."""
    with pytest.raises(TypeError, match="did you mean 'latency'"):
        Sandbox(latencey=1)
    with pytest.raises(TypeError, match="the options are seed"):
        Sandbox(Config(), zzz=1)


@pytest.mark.parametrize("turns", range(1, 6))
async def test_a_connection_that_comes_while_the_sandbox_closes_is_closed(turns):
    """A client that was accepted in the last turns of the loop sees an end, and does not wait."""
    sandbox = Sandbox()
    await sandbox.start()
    address = ("127.0.0.1", int(sandbox.url.rsplit(":", 1)[1]))
    with socket.create_connection(address) as client:
        for _ in range(turns):
            await asyncio.sleep(0)
        await asyncio.wait_for(sandbox.close(), 10)
        client.settimeout(5)
        received = b""
        with contextlib.suppress(ConnectionResetError):
            received = await asyncio.to_thread(client.recv, 1)
    assert received == b""
