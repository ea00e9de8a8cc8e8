"""An S3 server that believes nothing: hashes and signatures are verified, and nothing is kept."""

from __future__ import annotations

import asyncio
import hashlib
import re
from email import message_from_bytes
from email.message import Message

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from tests.support.s3 import ACCESS_KEY, REGION, SECRET_KEY


class StrictServer:
    """Verifies hash and signature of what is put, as S3 does and moto does not, and forgets it."""

    def __init__(self) -> None:
        self.heads: list[Message] = []
        self.bodies: list[bytes] = []
        self.busy_answers = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request and hang up."""
        line, _, fields = (await reader.readuntil(b"\r\n\r\n")).partition(b"\r\n")
        head = message_from_bytes(fields)
        if "Expect" in head:
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = await reader.readexactly(int(head["Content-Length"]))
        self.heads.append(head)
        self.bodies.append(body)
        answer = self._judge(line.decode().split()[1], head, body).encode()
        writer.write(b"HTTP/1.1 %s\r\nETag: e\r\nConnection: close\r\nContent-Length: 0\r\n\r\n" % answer)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    def _judge(self, target: str, head: Message, body: bytes) -> str:
        if self.busy_answers:
            self.busy_answers -= 1
            return "503 Slow Down"
        if head["x-amz-content-sha256"] != hashlib.sha256(body).hexdigest():
            return "400 XAmzContentSHA256Mismatch"
        return (
            "200 OK" if signature_of(target, head) in head["Authorization"] else "403 SignatureDoesNotMatch"
        )


def signature_of(target: str, head: Message) -> str:
    """Sign a request anew, the way botocore does by itself."""
    names = re.search("SignedHeaders=([^,]+)", head["Authorization"])
    assert names is not None
    assert "x-amz-content-sha256" in names[1]
    headers = {name: head[name] for name in names[1].split(";")}
    request = AWSRequest("PUT", f"http://{head['Host']}{target}", headers)
    request.context["timestamp"] = head["X-Amz-Date"]
    auth = S3SigV4Auth(Credentials(ACCESS_KEY, SECRET_KEY.get_secret_value()), "s3", REGION)
    signature = auth.signature(auth.string_to_sign(request, auth.canonical_request(request)), request)
    return f"Signature={signature}"
