"""Rules G1 to G10, which hold for every route."""

import pytest

from tests.odm_gateway.wire_suite.gateways import JPEG, UNKNOWN, Node, images, photo
from tests.odm_gateway.wire_suite.raw import connected, head

REFUSAL = {"error": "Invalid authentication token: token does not match."}

GUARDED = [
    ("GET", "/info"), ("GET", "/options"), ("GET", "/task/list"), ("GET", f"/task/{UNKNOWN}/info"),
    ("GET", f"/task/{UNKNOWN}/output"), ("GET", f"/task/{UNKNOWN}/download/all.zip"), ("POST", "/task/new"),
    ("POST", "/task/new/init"), ("POST", f"/task/new/upload/{UNKNOWN}"),
    ("POST", f"/task/new/commit/{UNKNOWN}"), ("POST", "/task/cancel"), ("POST", "/task/remove"),
    ("POST", "/task/restart"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("method", "path"), [*GUARDED[3:], ("POST", "/auth/login"), ("POST", "/auth/register")]
)
async def test_g1_application_errors_are_200_with_an_error(node: Node, method: str, path: str) -> None:
    answer = await node.http.request(method, path)
    if path == "/task/new/init":  # nothing is wrong with an upload without any field
        assert set(answer.json()) == {"uuid"}
        return
    assert (answer.status_code, type(answer.json()["error"])) == (200, str)


@pytest.mark.parametrize("verb", ["cancel", "remove", "restart"])
async def test_g2_changes_that_cannot_be_made_are_no_success(node: Node, verb: str) -> None:
    answer = await node.post(f"/task/{verb}", data={"uuid": UNKNOWN})
    assert answer == {"success": False, "error": f"{UNKNOWN} not found"}


@pytest.mark.parametrize("path", ["/info", "/options", "/task/list", "/auth/info", f"/task/{UNKNOWN}/info"])
async def test_g3_json_is_marked_as_express_marks_it(node: Node, path: str) -> None:
    answer = await node.http.get(path)
    assert answer.headers["content-type"] == "application/json; charset=utf-8"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/nope"),
        ("POST", "/info"),
        ("DELETE", "/task/list"),
        ("GET", "/task/cancel"),
        ("PUT", "/task/new"),
    ],
)
async def test_g3_unknown_paths_and_methods_are_404_in_html(node: Node, method: str, path: str) -> None:
    answer = await node.http.request(method, path)
    assert (answer.status_code, answer.headers["content-type"]) == (404, "text/html; charset=utf-8")
    assert f"Cannot {method} {path}" in answer.text


@pytest.mark.parametrize(("method", "path"), GUARDED)
@pytest.mark.parametrize("query", ["", "?token=", "?token=abcd", "?token=ab", "?Token=abc"])
async def test_g4_every_other_token_is_refused(limited: Node, method: str, path: str, query: str) -> None:
    async with connected(limited.process.port) as raw:
        await raw.send(head(method, path + query, "Content-Length: 0"))
        answer = await raw.answer()
    assert (answer.status, answer.json) == (200, REFUSAL)


async def test_g4_a_token_in_a_header_does_not_count(limited: Node) -> None:
    async with connected(limited.process.port) as raw:
        await raw.send(head("GET", "/info", "Authorization: Bearer abc", "token: abc", "x-token: abc"))
        assert (await raw.answer()).json == REFUSAL


async def test_g4_the_right_token_is_taken(limited: Node) -> None:
    assert "version" in await limited.get("/info")


async def test_g4_a_refused_upload_is_answered_after_its_last_byte(limited: Node) -> None:
    answer = await limited.http.post(
        "/task/new", params={"token": "wrong"}, files=images(("a.jpg", bytes(4 << 20)))
    )
    assert (answer.status_code, answer.json()) == (200, REFUSAL)


@pytest.mark.parametrize("query", ["?token=", "?token=leaked", "?token=a&token=b", ""])
async def test_g5_any_token_is_taken_where_none_is_wanted(node: Node, query: str) -> None:
    assert "version" in await node.get(f"/info{query}")


@pytest.mark.parametrize("path", ["/auth/info", "/", "/swagger.json"])
async def test_g6_some_paths_need_no_token(limited: Node, path: str) -> None:
    async with connected(limited.process.port) as raw:
        await raw.send(head("GET", path))
        answer = await raw.answer()
    assert answer.status == 200
    assert b"token does not match" not in answer.body


@pytest.mark.parametrize("path", ["/auth/login", "/auth/register"])
async def test_g6_logging_in_needs_no_token(limited: Node, path: str) -> None:
    async with connected(limited.process.port) as raw:
        await raw.send(head("POST", path, "Content-Length: 0"))
        assert (await raw.answer()).json == {"error": "Not available"}


@pytest.mark.parametrize("path", ["/info", "/nope", f"/task/{UNKNOWN}/info", "/auth/info", "/"])
async def test_g7_everything_can_be_read_from_anywhere(node: Node, path: str) -> None:
    answer = await node.http.get(path, headers={"Origin": "http://elsewhere.example"})
    assert answer.headers.get_list("access-control-allow-origin") == ["*"]


async def test_g7_preflights_are_granted_with_the_asked_headers(node: Node) -> None:
    asked = {
        "Origin": "http://a",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "set-uuid,x-a",
    }
    answer = await node.http.options("/task/new", headers=asked)
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["access-control-allow-methods"] == "GET,HEAD,PUT,PATCH,POST,DELETE"
    assert answer.headers["access-control-allow-headers"] == "set-uuid,x-a"


@pytest.mark.parametrize("verb", ["cancel", "remove", "restart"])
@pytest.mark.parametrize("kind", ["data", "json"])
async def test_g8_changes_are_taken_as_form_and_as_json(node: Node, verb: str, kind: str) -> None:
    uuid = await node.finished()
    assert await node.post(f"/task/{verb}", **{kind: {"uuid": uuid}}) == {"success": True}


@pytest.mark.parametrize("verb", ["cancel", "remove", "restart"])
async def test_g8_a_multipart_body_is_not_parsed_there(node: Node, verb: str) -> None:
    answer = await node.post(f"/task/{verb}", files={"uuid": (None, UNKNOWN)})
    assert answer == {"error": "uuid param missing."}


@pytest.mark.parametrize("path", ["/options", "/task/list"])
async def test_g9_what_a_client_has_is_not_sent_again(node: Node, path: str) -> None:
    tag = (await node.http.get(path)).headers["etag"]
    again = await node.http.get(path, headers={"If-None-Match": tag})
    assert tag.startswith('W/"')
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("content", [b"{", b'{"uuid": }', b"\xff\xfe", b'{"uuid": NaN}', b"[" * 100_000])
@pytest.mark.parametrize("path", ["/task/cancel", "/task/remove", "/task/restart", "/task/new"])
async def test_g10_json_that_is_none_is_an_error(node: Node, path: str, content: bytes) -> None:
    answer = await node.post(path, content=content, headers={"Content-Type": "application/json"})
    assert set(answer) == {"error"}


async def test_g1_an_unwanted_file_field_does_not_break_the_connection(node: Node) -> None:
    name, content = photo(1)
    files = {"other": (name, content + JPEG * 10_000)}
    assert await node.post("/task/new", files=files) == {"error": "Unexpected field"}


@pytest.mark.parametrize(("method", "path"), GUARDED)
async def test_s1_1_statuses_are_such_as_no_client_misreads(
    node: Node, limited: Node, method: str, path: str
) -> None:
    """PyODM fails on 201 and 204, and loses the words of a 401; CloudODM takes every other status for one."""
    uuid = await node.finished()
    for server, token in ((node, "?token="), (limited, "?token=wrong")):
        for task in (UNKNOWN, uuid):
            answer = await server.http.request(method, path.replace(UNKNOWN, task) + token)
            assert (answer.status_code, answer.is_redirect) == (200, False)
