"""An S3 server that keeps nothing: it swallows every body and answers as a bucket full of one object would.

python -m bench.null_s3 PORT BYTES
"""

from __future__ import annotations

import asyncio
import sys

from typing_extensions import override

HEAD = (
    b"HTTP/1.1 200 OK\r\nDate: Fri, 20 Nov 2026 12:00:00 GMT\r\n"
    b"Last-Modified: Fri, 20 Nov 2026 12:00:00 GMT\r\n"
    b'ETag: "e"\r\nContent-Type: application/octet-stream\r\nx-amz-meta-plain: yes\r\nContent-Length: '
)
BEGUN = b"<InitiateMultipartUploadResult><UploadId>u</UploadId></InitiateMultipartUploadResult>"
DONE = b"<CompleteMultipartUploadResult><ETag>&quot;e&quot;</ETag></CompleteMultipartUploadResult>"
COPIED = b"<CopyObjectResult><ETag>&quot;e&quot;</ETag></CopyObjectResult>"
PIECE = bytes(1 << 20)


class NullS3(asyncio.BufferedProtocol):
    """One connection: reads into one buffer, counts the body down, answers."""

    def __init__(self, object_bytes: int) -> None:
        self._object_bytes = object_bytes
        self._buffer = memoryview(bytearray(1 << 20))
        self._head = b""
        self._request = b""
        self._body_left = 0
        self._writing = asyncio.Event()
        self._transport: asyncio.Transport

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember whom to answer."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    @override
    def get_buffer(self, sizehint: int) -> memoryview:
        """Return where to put what arrives."""
        return self._buffer

    @override
    def buffer_updated(self, nbytes: int) -> None:
        """Take a head or a part of a body."""
        if self._body_left:
            self._body_left -= nbytes
            if not self._body_left:
                self._answer()
            return
        self._head += bytes(self._buffer[:nbytes])
        head, separator, rest = self._head.partition(b"\r\n\r\n")
        if separator:
            self._begin(head, len(rest))

    def _begin(self, head: bytes, arrived: int) -> None:
        self._head, self._request = b"", head.split(b"\r\n", 1)[0]
        fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:])
        if b"100-continue" in fields.get(b"expect", b""):
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        self._copying = b"x-amz-copy-source" in fields
        self._body_left = int(fields.get(b"content-length", 0)) - arrived
        if not self._body_left:
            self._answer()

    def _answer(self) -> None:
        method, target = self._request.split(b" ")[:2]
        if method == b"POST":
            self._reply(BEGUN if b"uploads" in target else DONE)
        elif method == b"HEAD":
            self._transport.write(HEAD + str(self._object_bytes).encode() + b"\r\n\r\n")
        elif method == b"GET":
            self._transport.write(HEAD + str(self._object_bytes).encode() + b"\r\n\r\n")
            for start in range(0, self._object_bytes, len(PIECE)):
                self._transport.write(PIECE[: self._object_bytes - start])
        else:
            self._reply(COPIED if self._copying else b"")

    def _reply(self, body: bytes) -> None:
        self._transport.write(HEAD + str(len(body)).encode() + b"\r\n\r\n" + body)


async def main(port: int, object_bytes: int) -> None:
    """Serve until killed."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: NullS3(object_bytes), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
