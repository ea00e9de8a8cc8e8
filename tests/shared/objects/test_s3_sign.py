"""URLs that we sign are those that botocore makes, which is the one that knows how."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from shared.objects.port import Shown
from shared.objects.s3 import S3Objects
from shared.objects.s3_client import Server, s3_sender
from shared.objects.s3_sign import Get, presigned
from tests.support.s3 import ACCESS_KEY, REGION, SECRET_KEY

WEEK = timedelta(days=7)
KEY = "a b/ü+~?#&=.jpg"
SHOWN = {
    "plain": Shown(),
    "named": Shown(content_disposition="attachment; filename*=UTF-8''%C3%BC.jpg", content_type="image/jpeg"),
    "head": Shown(is_head=True),
}


@dataclass(frozen=True, slots=True)
class Keys:
    """Who signs."""

    access_key: str = ACCESS_KEY
    secret_key: str = SECRET_KEY.get_secret_value()
    token: str | None = None


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:9000", "https://s3.example.org/base", None])
@pytest.mark.parametrize("shown", SHOWN.values(), ids=SHOWN)
async def test_a_url_is_botocores(endpoint: str | None, shown: Shown) -> None:
    async with s3_sender(Server(endpoint, REGION, ACCESS_KEY, SECRET_KEY)) as sender:
        ours, theirs = "", "another second"
        while stamp_of(ours) != stamp_of(theirs):
            ours = await S3Objects(sender, "bucket", "in").presign(KEY, expires=WEEK, shown=shown)
            theirs = await theirs_of(sender.client, shown)

    assert urlsplit(ours)[:3] == urlsplit(theirs)[:3]
    expected = dict(parse_qsl(urlsplit(theirs).query))
    assert dict(parse_qsl(urlsplit(ours).query)) == expected
    assert expected["X-Amz-Signature"]


def stamp_of(url: str) -> str | None:
    """Return the second in which a URL was signed."""
    return dict(parse_qsl(urlsplit(url).query)).get("X-Amz-Date", url)


async def theirs_of(client: Any, shown: Shown) -> str:
    """Return botocore's URL."""
    wanted = {
        "ResponseContentDisposition": shown.content_disposition,
        "ResponseContentType": shown.content_type,
    }
    parameters = {name: value for name, value in wanted.items() if value}
    theirs = await client.generate_presigned_url(
        "head_object" if shown.is_head else "get_object",
        Params={"Bucket": "bucket", "Key": f"in/{KEY}", **parameters},
        ExpiresIn=int(WEEK.total_seconds()),
    )
    assert isinstance(theirs, str)
    return theirs


def test_keys_that_are_valid_for_a_while_are_told_of() -> None:
    get = Get("127.0.0.1:9000", "/bucket/k", REGION)
    now = datetime(2026, 11, 22, tzinfo=UTC)

    query = dict(parse_qsl(presigned(get, {}, 60, Keys(token="t+/="), now)))

    assert query["X-Amz-Security-Token"] == "t+/="
    assert query["X-Amz-Signature"] != dict(parse_qsl(presigned(get, {}, 60, Keys(), now)))["X-Amz-Signature"]
