"""Bodies on their way to S3: signed here and sent by a thread, and whatever does not go smoothly by botocore.

A request through botocore takes the event loop longer than the body itself. What is answered with anything
but success is sent once more by its rules: they repeat, wait, announce bodies, follow a bucket to its region
and tell what is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit
from urllib.request import getproxies, proxy_bypass

from botocore.exceptions import BotoCoreError
from yarl import URL

from shared.bulk import Bulk
from shared.objects.port import Shown, StoredObject
from shared.objects.s3_body import HashedBody
from shared.objects.s3_headers import describing
from shared.objects.s3_sign import Get, Put, presigned, signed

SMALL_BYTES = 128 << 10
"""Up to here, a thread is not worth while."""
_SUCCESS = 200
_QUERY = {
    "ResponseContentDisposition": "response-content-disposition",
    "ResponseContentType": "response-content-type",
}


@dataclass(frozen=True, slots=True)
class _Bucket:
    """Where the objects of a bucket are, as botocore finds it, and where we sign for."""

    origin: str
    host: str
    path: str
    region: str


@dataclass(slots=True)
class ShortWay:
    """Puts bodies with one request each."""

    client: Any
    credentials: Any
    """As botocore knows them; they may change by themselves."""
    bulk: Bulk
    _buckets: dict[str, _Bucket | None] = field(default_factory=dict)

    async def put(
        self, target: Mapping[str, str], body: HashedBody, headers: Mapping[str, str], **query: str
    ) -> Mapping[str, str] | None:
        """Return the headers of the answer; None: it has to be sent by botocore, or sent again."""
        bucket = await self._bucket(target["Bucket"])
        if bucket is None:
            return None
        path = f"{bucket.path}{quote(target['Key'], safe='/~')}"
        asked = urlencode(sorted(query.items()), quote_via=quote, safe="~")
        put = Put(bucket.host, path, asked, body.sha256)
        who = await self.credentials.get_frozen_credentials()
        url = URL(f"{bucket.origin}{path}{'?' if asked else ''}{asked}", encoded=True)
        try:
            async with self.bulk.exchange(
                "PUT", url, signed(put, headers, who, bucket.region), body.pieces
            ) as answer:
                while await answer.read():
                    pass
                is_stored = answer.status == _SUCCESS and "ETag" in answer.headers
                return answer.headers if is_stored else None
        except (OSError, ValueError):  # out of reach, or a header that botocore may know to write
            return None

    async def url(
        self, target: Mapping[str, str], expires_s: int, shown: Mapping[str, str], method: str
    ) -> str | None:
        """Return a URL that lets anybody read an object until it expires; None: botocore has to make it.

        Args:
            target: The object.
            expires_s: How long from now.
            shown: The query that says what the answer is to look like.
            method: GET or HEAD.
        """
        bucket = await self._bucket(target["Bucket"])
        if bucket is None:
            return None
        path = f"{bucket.path}{quote(target['Key'], safe='/~')}"
        get = Get(bucket.host, path, bucket.region, method)
        who = await self.credentials.get_frozen_credentials()
        return f"{bucket.origin}{path}?{presigned(get, shown, expires_s, who)}"

    async def _bucket(self, name: str) -> _Bucket | None:
        if name not in self._buckets:
            try:
                self._buckets[name] = await self._found(name)
            except BotoCoreError:  # no keys at the moment
                return None
        return self._buckets[name]

    async def _found(self, name: str) -> _Bucket | None:
        """Ask botocore where a bucket is; None: in a place that is reached or signed for in another way."""
        presigned = await self.client.generate_presigned_url(
            "put_object", Params={"Bucket": name, "Key": "-"}, ExpiresIn=60
        )
        parts = urlsplit(presigned)
        scope = parse_qs(parts.query).get("X-Amz-Credential", [""])[0].split("/")
        if scope[-2:] != ["s3", "aws4_request"] or not parts.path.endswith("/-"):
            return None
        if parts.scheme in getproxies() and not proxy_bypass(parts.hostname or ""):
            return None
        url = URL(presigned.partition("?")[0][:-1], encoded=True)
        return _Bucket(str(url.origin()), url.host_port_subcomponent or "", url.raw_path, scope[-3])


@dataclass(frozen=True, slots=True)
class Sender:
    """Sends the bodies of a store."""

    client: Any
    short_way: ShortWay | None = None

    async def url(self, target: Mapping[str, str], expires_s: int, shown: Shown) -> str:
        """Return a URL that lets anybody read an object until it expires."""
        wanted = {
            "ResponseContentDisposition": shown.content_disposition,
            "ResponseContentType": shown.content_type,
        }
        if self.short_way:
            query = {_QUERY[name]: value for name, value in wanted.items() if value}
            url = await self.short_way.url(target, expires_s, query, "HEAD" if shown.is_head else "GET")
            if url is not None:
                return url
        given: str = await self.client.generate_presigned_url(
            "head_object" if shown.is_head else "get_object",
            Params={**target, **{name: value for name, value in wanted.items() if value}},
            ExpiresIn=expires_s,
        )
        return given

    async def whole(
        self, target: Mapping[str, str], body: HashedBody, about: StoredObject, conditions: Mapping[str, str]
    ) -> Mapping[str, str]:
        """Store an object, and return the headers of the answer."""
        described = describing(about)
        if self.short_way and len(body) > SMALL_BYTES:
            kept = {f"x-amz-meta-{name}": value for name, value in described["Metadata"].items()}
            headers = {"Content-Type": described["ContentType"], **kept}
            if "IfNoneMatch" in conditions:
                headers["If-None-Match"] = conditions["IfNoneMatch"]
            answered = await self.short_way.put(target, body, headers)
            if answered is not None:
                return answered
        answer = await self.client.put_object(**target, Body=body, **described, **conditions)
        headers_of_answer: Mapping[str, str] = answer["ResponseMetadata"]["HTTPHeaders"]
        return headers_of_answer

    async def part(self, target: Mapping[str, str], upload_id: str, number: int, body: HashedBody) -> str:
        """Store a part of an upload, and return its ETag."""
        if self.short_way and len(body) > SMALL_BYTES:
            query = {"partNumber": str(number), "uploadId": upload_id}
            answered = await self.short_way.put(target, body, {}, **query)
            if answered is not None:
                return answered["ETag"]
        answer = await self.client.upload_part(**target, UploadId=upload_id, PartNumber=number, Body=body)
        return str(answer["ETag"])
