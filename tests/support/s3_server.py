"""A small S3 server for tests: buckets in memory, uploads in parts, and faults on request."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

KEY, SECRET = "AKIDTESTONLY", "s3cret/of+tests"


class S3Server(ThreadingHTTPServer):
    """A server on 127.0.0.1 with the bucket `shop`.

    Attributes:
        objects: Name -> contents of the completed objects.
        uploads: Number of an upload under way -> its parts.
        requests: Method and path of each request.
        failing: Pattern of requests (`"PUT .*partNumber=2"`) that get a 403.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.objects: dict[str, bytes] = {}
        self.uploads: dict[str, dict[int, bytes]] = {}
        self.requests: list[str] = []
        self.failing = ""
        self.lock = threading.Lock()

    @property
    def environment(self) -> dict[str, str]:
        """Variables by which a client finds the server."""
        return {
            "AWS_ACCESS_KEY_ID": KEY,
            "AWS_SECRET_ACCESS_KEY": SECRET,
            "AWS_REGION": "us-east-1",
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.server_port}",
        }


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: S3Server

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base
        """Print nothing."""

    def _answer(self, status: int = 200, body: str = "", **headers: str) -> None:
        text = body.encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def _refuse(self, status: int, code: str) -> None:
        # Services repeat the ID of the key, and the text that was signed.
        text = f"<Error><Code>{code}</Code><AWSAccessKeyId>{KEY}</AWSAccessKeyId></Error>"
        self._answer(status, f'<?xml version="1.0"?>\n{text}')

    def _handle(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = urlsplit(self.path)
        bucket, _, name = unquote(parts.path).removeprefix("/").partition("/")
        query = {key: values[0] for key, values in parse_qs(parts.query, True).items()}
        store = self.server
        with store.lock:
            store.requests.append(f"{self.command} {self.path}")
            if store.failing and re.match(store.failing, store.requests[-1]):
                self._refuse(403, "AccessDenied")
            elif f"Credential={KEY}/" not in self.headers.get("Authorization", ""):
                self._refuse(403, "InvalidAccessKeyId")
            elif bucket != "shop":
                self._refuse(404, "NoSuchBucket")
            else:
                self._do(name, query, body)

    def _do(self, name: str, query: dict[str, str], body: bytes) -> None:
        store, upload = self.server, query.get("uploadId")
        if self.command == "POST" and "uploads" in query:
            number = f"u{len(store.requests)}"
            store.uploads[number] = {}
            tags = f"<Bucket>shop</Bucket><Key>k</Key><UploadId>{number}</UploadId>"
            kind = "InitiateMultipartUploadResult"
            self._answer(200, f"<{kind}>{tags}</{kind}>")
        elif self.command == "PUT" and upload is not None:
            store.uploads[upload][int(query["partNumber"])] = body
            self._answer(ETag=f'"{query["partNumber"]}"')
        elif self.command == "POST" and upload is not None:
            pieces = store.uploads.pop(upload)
            store.objects[name] = b"".join(pieces[number] for number in sorted(pieces))
            tags = '<Bucket>shop</Bucket><Key>k</Key><ETag>"e"</ETag>'
            kind = "CompleteMultipartUploadResult"
            self._answer(200, f"<{kind}>{tags}</{kind}>")
        elif self.command == "DELETE" and upload is not None:
            store.uploads.pop(upload, None)
            self._answer(204)
        else:
            store.objects[name] = body
            self._answer(ETag='"e"')

    do_PUT = do_POST = do_DELETE = _handle  # noqa: N815 - names of the base


@contextmanager
def s3_server() -> Iterator[S3Server]:
    """Run a server in a thread."""
    server = S3Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
