import pytest

from odm_gateway.wire.bodies import parse_multipart

KIND = "multipart/form-data; boundary=xyz"


def multipart(*parts: str) -> bytes:
    return "".join(f"--xyz\r\n{part}\r\n" for part in parts).encode() + b"--xyz--\r\n"


def field(name: str, value: str) -> str:
    return f'Content-Disposition: form-data; name="{name}"\r\n\r\n{value}'


def test_fields_are_read_with_their_unicode() -> None:
    body = parse_multipart(KIND, multipart(field("name", "Höhe: 3 m"), field("options", "[]")))
    assert (body.fields, body.has_files) == ({"name": "Höhe: 3 m", "options": "[]"}, False)


def test_line_breaks_within_a_value_survive() -> None:
    body = parse_multipart(KIND, multipart(field("options", '[\r\n{"name": "dsm"}\r\n]')))
    assert body.fields["options"] == '[\r\n{"name": "dsm"}\r\n]'


def test_files_are_noticed_whatever_their_field_is_called() -> None:
    part = (
        'Content-Disposition: form-data; name="images"; filename="a.jpg"\r\nContent-Type: image/jpeg\r\n\r\nx'
    )
    assert parse_multipart(KIND, multipart(part)).has_files


@pytest.mark.parametrize(
    ("kind", "content"), [("multipart/form-data", b""), (KIND, b""), (KIND, b"no parts at all"),
     ("multipart/form-data", b"x")]
)  # fmt: skip
def test_a_body_without_parts_has_no_fields(kind: str, content: bytes) -> None:
    assert parse_multipart(kind, content).fields == {}
