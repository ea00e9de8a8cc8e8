import os
from dataclasses import dataclass

import pytest

from odm_gateway.refusals import RefusedError
from odm_gateway.wire.multipart import Form, boundary_of

BOUNDARY = b"xyz"


@dataclass
class Arriving:
    """A body that arrives in pieces of some size."""

    content: bytes
    piece_bytes: int

    async def read(self) -> bytes:
        piece, self.content = self.content[: self.piece_bytes], self.content[self.piece_bytes :]
        return piece


def form(*parts: bytes, end: bytes = b"--xyz--\r\n") -> bytes:
    return b"".join(b"--xyz\r\n" + part + b"\r\n" for part in parts) + end


def part(disposition: str, content: bytes) -> bytes:
    return f"Content-Disposition: form-data; {disposition}\r\n\r\n".encode() + content


async def parsed(content: bytes, piece_bytes: int = 1 << 16) -> list[tuple[str, str | None, bytes]]:
    return [
        (each.name, each.file_name, b"".join([chunk async for chunk in each.chunks()]))
        async for each in Form(Arriving(content, piece_bytes), BOUNDARY).parts()
    ]


@pytest.mark.parametrize("piece_bytes", [1, 2, 3, 7, 64, 1000])
async def test_a_form_is_the_same_in_whatever_pieces_it_arrives(piece_bytes: int) -> None:
    content = b"\r\n--xy\r\n--xyz?" + os.urandom(500) + b"\r\n--"
    body = form(part('name="name"', "Höhe: 3 m".encode()), part('name="images"; filename="a.jpg"', content))
    assert await parsed(body, piece_bytes) == [
        ("name", None, "Höhe: 3 m".encode()),
        ("images", "a.jpg", content),
    ]


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        ('filename="Höhe 3.jpg"', "Höhe 3.jpg"), ("filename=a.jpg", "a.jpg"),
        ("filename*=utf-8''H%C3%B6he.jpg", "Höhe.jpg"),
        ('filename="H.jpg"; filename*=UTF-8\'\'H%C3%B6he.jpg', "Höhe.jpg"), ('filename=""', ""),
        ('filename="a;b.jpg"', "a;b.jpg"),
    ],
)  # fmt: skip
async def test_file_names_are_read_as_clients_write_them(disposition: str, name: str) -> None:
    assert await parsed(form(part(f'name="images"; {disposition}', b"x"))) == [("images", name, b"x")]


async def test_names_that_are_no_utf8_are_read_as_latin_1() -> None:
    raw = b'Content-Disposition: form-data; name="images"; filename="H\xf6he.jpg"\r\n\r\nx'
    assert (await parsed(form(raw)))[0][1] == "Höhe.jpg"


async def test_what_is_left_of_a_part_is_skipped() -> None:
    body = form(part('name="a"; filename="a"', b"1" * 5000), part('name="b"', b"2"))
    names = [each.name async for each in Form(Arriving(body, 100), BOUNDARY).parts()]
    assert names == ["a", "b"]


@pytest.mark.parametrize("content", [b"", b"--xyz--\r\n", b"\r\n--xyz--"])
async def test_a_form_may_have_no_parts(content: bytes) -> None:
    assert await parsed(content) == []


async def test_what_follows_the_last_boundary_does_not_count() -> None:
    assert await parsed(form(part('name="a"', b"1")) + b"anything\r\n--xyz\r\nat all") == [("a", None, b"1")]


@pytest.mark.parametrize(
    "content",
    [
        b"no parts at all", form(part('name="a"', b"1"), end=b""), form(end=b"--xyz\r\nContent-Dispo"),
        form(part('name="a"', b"1"))[:-3], b"--xyz\r\n" + b"x" * 20_000, b"--xyz\r\n" + b"a: b\r\n" * 100,
    ],
)  # fmt: skip
async def test_what_is_no_whole_form_is_refused(content: bytes) -> None:
    with pytest.raises(RefusedError, match="form"):
        await parsed(content)


async def test_a_field_is_read_up_to_a_size() -> None:
    body = Form(Arriving(form(part('name="a"', b"1" * 2000)), 100), BOUNDARY)
    field = await anext(body.parts())
    with pytest.raises(RefusedError, match="too large"):
        await field.text(1000)


def test_a_boundary_that_is_too_long_is_refused() -> None:
    with pytest.raises(RefusedError, match="Boundary"):
        Form(Arriving(b"", 1), b"x" * 300)


@pytest.mark.parametrize(
    ("header", "boundary"),
    [
        ("multipart/form-data; boundary=xyz", b"xyz"), ('multipart/form-data; boundary="x y"', b"x y"),
        ("multipart/form-data; charset=utf-8; boundary=xyz", b"xyz"), ("multipart/form-data", b""),
    ],
)  # fmt: skip
def test_the_boundary_stands_in_the_header(header: str, boundary: bytes) -> None:
    assert boundary_of(header) == boundary
