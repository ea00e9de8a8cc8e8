"""Weak ETags of JSON answers, and HTML for unknown paths."""

import pytest

from odm_gateway.wire.answers import weak_tag
from shared.service.downloads import is_known
from tests.support.gateway import GatewayClient

TAG = weak_tag(b"[]")


@pytest.mark.parametrize(
    ("header", "known"),
    [
        (TAG, True),
        (TAG.removeprefix("W/"), True),
        (f'"x", {TAG}', True),
        ("*", True),
        ('"x"', False),
        ("", False),
    ],
)
def test_tags_are_compared_weakly(header: str, known: bool) -> None:
    assert is_known(TAG, header) is known


@pytest.mark.parametrize("path", ["/options", "/task/list", "/task/none/info", "/swagger.json", "/auth/info"])
async def test_g9_what_is_read_again_unchanged_is_304(gateway: GatewayClient, path: str) -> None:
    first = await gateway.http.get(path)
    assert first.headers["etag"].startswith('W/"')
    again = await gateway.http.get(path, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    assert again.headers["access-control-allow-origin"] == "*"


async def test_g9_what_has_changed_is_sent(gateway: GatewayClient) -> None:
    tag = (await gateway.http.get("/task/list")).headers["etag"]
    await gateway.new_task()
    assert (await gateway.http.get("/task/list", headers={"If-None-Match": tag})).status_code == 200


async def test_answers_to_posts_have_no_tag(gateway: GatewayClient) -> None:
    answer = await gateway.http.post("/task/cancel", data={"uuid": "x"}, headers={"If-None-Match": "*"})
    assert answer.status_code == 200
    assert "etag" not in answer.headers


async def test_g3_the_html_of_an_unknown_path_escapes_it(gateway: GatewayClient) -> None:
    answer = await gateway.http.get("/<script>alert(1)</script>")
    assert answer.status_code == 404
    assert "<script>" not in answer.text


async def test_g7_errors_and_unknown_paths_can_be_read_from_anywhere(gateway: GatewayClient) -> None:
    for path in ("/nope", "/task/x/info", "/info?_debugUnauthorized=1"):
        assert (await gateway.http.get(path)).headers.get_list("access-control-allow-origin") == ["*"]


@pytest.mark.parametrize("path", ["/", "/info", "/options", "/task/list", "/task/x/info", "/swagger.json"])
async def test_what_can_be_read_answers_head_without_content(gateway: GatewayClient, path: str) -> None:
    head, get = await gateway.http.head(path), await gateway.http.get(path)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == get.headers["content-length"]


async def test_g3_head_of_what_can_only_be_posted_is_404(gateway: GatewayClient) -> None:
    assert (await gateway.http.head("/task/cancel")).status_code == 404
