"""A web service that shows products of 1688.com, for one TMAPI account.

    pip install fastapi uvicorn .     # in the folder of the project
    tmapi sandbox --port 8099 --limit 8           no token, no cost; the others in another terminal
    export TMAPI_TOKEN=sandbox TMAPI_BASE_URL=http://127.0.0.1:8099
    uvicorn examples.fastapi_service:app --workers 4

For the real service, set TMAPI_TOKEN to your token and leave TMAPI_BASE_URL out.

Each worker process has one client, which lives as long as the worker. The clients of all workers,
and a `tmapi harvest` on the same machine, share the limit of the account without any setup.

    GET /categories/{cat_id}            first page
    GET /categories/{cat_id}/items      all items, one JSON object a line, as they come
    GET /search?keyword=...             first page of a search
    GET /health                         state of the worker; sends no request to TMAPI
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Annotated, Any

import msgspec
from fastapi import FastAPI, Query, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from tmapi_async import (
    TMAPI,
    AccountError,
    BudgetSpentError,
    ClosedError,
    ConcurrencyError,
    DeadlineError,
    InvalidRequestError,
    Item,
    OutageError,
    Page,
    ParameterError,
    TMAPIError,
    Walk,
)

OUTAGE_SECONDS = 30.0
"""Seconds for which an outage of the API is waited for, before callers are told of it."""

BAD_INPUT, BAD_GATEWAY, TRY_LATER, TOO_SLOW = 422, 502, 503, 504
STATUS: tuple[tuple[type[TMAPIError] | tuple[type[TMAPIError], ...], int], ...] = (
    ((InvalidRequestError, ParameterError), BAD_INPUT),  # the first is raised before any request
    (DeadlineError, TOO_SLOW),
    # A matter of the account, its limit or an outage: the same call may work later.
    ((AccountError, BudgetSpentError, ClosedError, ConcurrencyError, OutageError), TRY_LATER),
    (TMAPIError, BAD_GATEWAY),
)
RETRY_AFTER = {"Retry-After": "30"}


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open the client of this worker, and close it when the worker ends."""
    async with TMAPI.from_env(wait=OUTAGE_SECONDS) as api:
        app.state.api = api
        yield


app = FastAPI(title="Products of 1688.com", lifespan=lifespan)


def client_of(request: Request) -> TMAPI:
    """Return the client of this worker."""
    api: TMAPI = request.app.state.api
    return api


@app.exception_handler(TMAPIError)
async def explain(request: Request, error: Exception) -> JSONResponse:
    """Map an error of the client to a status. Its text never shows the token."""
    del request
    status = next(code for kind, code in STATUS if isinstance(error, kind))
    headers = RETRY_AFTER if status == TRY_LATER else None
    content = {"error": str(error), "type": type(error).__name__}
    return JSONResponse(content, status_code=status, headers=headers)


def page_reply(page: Page[Any]) -> Response:
    """Return a page as JSON: its rows, the number of unreadable ones, and if a page follows."""
    content = {
        "items": page.to_rows(),
        "rejects": len(page.rejects),
        "has_next_page": page.has_next_page,
    }
    return Response(msgspec.json.encode(content), media_type="application/json")


@app.get("/categories/{cat_id}")
async def first_page(request: Request, cat_id: int) -> Response:
    """Return the first page of a category. Callers that ask at once share one request."""
    return page_reply(await client_of(request).category_items(cat_id))


@app.get("/search")
async def search(request: Request, keyword: Annotated[str, Query(min_length=1)]) -> Response:
    """Return the first page of a search."""
    return page_reply(await client_of(request).search_items(keyword))


class ItemStream(StreamingResponse):
    """Lines of a walk. The walk ends with the reply, also when the caller leaves in the middle."""

    def __init__(
        self, walk: Walk[Item], pages: AsyncIterator[Page[Item]], first: Page[Item]
    ) -> None:
        self._walk = walk
        super().__init__(lines(pages, first), media_type="application/x-ndjson")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the reply, then end the walk: at most the pages on the wire are paid for in vain."""
        async with aclosing(self._walk):
            await super().__call__(scope, receive, send)


async def lines(pages: AsyncIterator[Page[Item]], first: Page[Item]) -> AsyncIterator[bytes]:
    """Yield one line for each item, page by page; the last line says how the walk has ended.

    The next page is taken when the caller has read this one, so a slow caller slows the walk down.
    """
    encoder, items, rejects = msgspec.json.Encoder(), 0, 0
    page: Page[Item] | None = first
    end: dict[str, Any] = {"end": "complete"}
    try:
        while page is not None:
            rows = page.to_rows()
            items, rejects = items + len(rows), rejects + len(page.rejects)
            yield encoder.encode_lines(rows)
            page = await anext(pages, None)
    except TMAPIError as error:
        # The status is sent already: a stream without a last line, or with this one, is not whole.
        end = {"end": "failed", "error": str(error), "type": type(error).__name__}
    yield encoder.encode_lines([end | {"items": items, "rejects": rejects}])


@app.get("/categories/{cat_id}/items")
async def all_items(request: Request, cat_id: int) -> Response:
    """Stream all items of a category. An error before the first item has a status of its own."""
    walk = client_of(request).category_items(cat_id)
    pages = walk.pages()
    try:
        first = await anext(pages)
    except BaseException:
        await walk.aclose()
        raise
    return ItemStream(walk, pages, first)


@app.get("/health")
async def health(request: Request) -> dict[str, Any]:
    """Tell the state of this worker. It is alive if it answers; TMAPI is not asked."""
    gate = client_of(request).statistics()
    return {"in_flight": gate.in_flight, "waiting": gate.waiting, "requests": gate.requests}
