"""A web server full of photographs that nobody keeps: a list, a page, ranges, and S3's way of listing.

    python -m bench.http_files PORT FILES BYTES

``/flight.json`` lists them, ``/images/`` is a page of links, ``/images/00001.jpg`` is one of them; the bucket
``flight`` holds the same files. ``/counts`` tells what was asked for, and begins anew.
"""

from __future__ import annotations

import json
import sys
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit

from typing_extensions import override

PAGE = 1000
HEAD_BYTES = 14


class Files:
    """Files that differ in their first bytes only."""

    def __init__(self, count: int, size_bytes: int) -> None:
        self.size_bytes = size_bytes
        self.names = [f"{number:05}.jpg" for number in range(count)]
        self._rest = memoryview(b"\x5a" * (size_bytes - HEAD_BYTES - 2) + b"\xff\xd9")
        self._known = frozenset(self.names)

    def content(self, name: str) -> tuple[bytes, memoryview] | None:
        """Return a file as its first bytes and its rest: a JPEG as far as its ends tell."""
        if name not in self._known:
            return None
        comment = f"{int(name[:5]):08}".encode()
        return b"\xff\xd8\xff\xfe\x00\x0a" + comment, self._rest


class Handler(BaseHTTPRequestHandler):
    """Answers one connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 1 << 16
    files: Files
    counts: ClassVar[Counter[str]] = Counter()
    lock = threading.Lock()

    @override
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        """Answer as for GET, without a body."""
        self._file(urlsplit(self.path).path.rpartition("/")[2], body=False)

    def do_GET(self) -> None:
        """Answer with a list, a page or a file."""
        url = urlsplit(self.path)
        match url.path:
            case "/flight.json":
                self._count("listing")
                self._text("application/json", json.dumps({"files": self._listed()}))
            case "/images/":
                self._count("listing")
                self._text(
                    "text/html", "".join(f'<a href="{name}">{name}</a>\n' for name in self.files.names)
                )
            case "/flight" | "/flight/":
                self._count("listing")
                self._text("application/xml", self._bucket(parse_qs(url.query)))
            case "/counts":
                with self.lock:
                    told = json.dumps(self.counts)
                    self.counts.clear()
                self._text("application/json", told)
            case path:
                self._count("content")
                self._file(path.rpartition("/")[2])

    def _count(self, what: str) -> None:
        with self.lock:
            self.counts[what] += 1

    def _listed(self) -> list[dict[str, object]]:
        return [
            {"path": f"images/{name}", "size": self.files.size_bytes, "modified": "1"}
            for name in self.files.names
        ]

    def _bucket(self, asked: dict[str, list[str]]) -> str:
        start = int(asked.get("continuation-token", ["0"])[0])
        page = self.files.names[start : start + PAGE]
        more = start + PAGE < len(self.files.names)
        contents = "".join(
            f"<Contents><Key>images/{name}</Key><Size>{self.files.size_bytes}</Size>"
            f"<ETag>&quot;{name[:5]}&quot;</ETag><LastModified>2026-11-20T12:00:00.000Z</LastModified></Contents>"
            for name in page
        )
        token = f"<NextContinuationToken>{start + PAGE}</NextContinuationToken>" if more else ""
        return (
            '<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f"<IsTruncated>{str(more).lower()}</IsTruncated>{token}{contents}</ListBucketResult>"
        )

    def _text(self, kind: str, text: str) -> None:
        body = text.encode()
        self._begin(200, kind, len(body))
        self.wfile.write(body)
        self.wfile.flush()

    def _file(self, name: str, *, body: bool = True) -> None:
        content = self.files.content(name)
        if content is None:
            self._begin(404, "text/plain", 0)
            self.wfile.flush()
            return
        head, rest = content
        start = self._start()
        status = 206 if start else 200
        self._begin(status, "image/jpeg", self.files.size_bytes - start, start=start, etag=name[:5])
        self.wfile.flush()
        if body:
            self.connection.sendall(head[start:])
            self.connection.sendall(rest[max(0, start - HEAD_BYTES) :])

    def _start(self) -> int:
        wanted = self.headers.get("Range", "")
        return int(wanted.removeprefix("bytes=").partition("-")[0] or 0) if wanted else 0

    def _begin(self, status: int, kind: str, length: int, *, start: int = 0, etag: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(length))
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Last-Modified", "Fri, 20 Nov 2026 12:00:00 GMT")
        if etag:
            self.send_header("ETag", f'"{etag}"')
        if status == 206:
            whole = self.files.size_bytes
            self.send_header("Content-Range", f"bytes {start}-{whole - 1}/{whole}")
        self.end_headers()


class Server(ThreadingHTTPServer):
    """A thread per connection."""

    daemon_threads = True
    request_queue_size = 128


def main() -> None:
    """Serve until killed."""
    port, count, size_bytes = map(int, sys.argv[1:4])
    Handler.files = Files(count, size_bytes)
    Server(("127.0.0.1", port), Handler).serve_forever()


if __name__ == "__main__":
    main()
