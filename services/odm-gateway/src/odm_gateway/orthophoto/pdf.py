"""A one-page PDF 1.4 of text lines and one JPEG, written byte by byte."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

PAGE_PT: Final = (595, 842)
"""A4, points of 1/72 inch; positions count from the lower left corner."""


@dataclass(frozen=True, slots=True)
class Text:
    """One line in Helvetica."""

    x_pt: float
    y_pt: float
    size_pt: float
    text: str
    bold: bool = False


@dataclass(frozen=True, slots=True)
class Picture:
    """A JPEG with its size in pixels and its box on the page."""

    jpeg: bytes
    width: int
    height: int
    x_pt: float
    y_pt: float
    width_pt: float
    height_pt: float


def one_page(lines: list[Text], picture: Picture) -> bytes:
    """Return the PDF; characters outside Latin-1 become question marks."""
    content = b"\n".join([_draw_picture(picture), *map(_draw_text, lines)])
    image = (
        f"/Type /XObject /Subtype /Image /Width {picture.width} /Height {picture.height} "
        "/ColorSpace /DeviceRGB /BitsPerComponent 8 /Filter /DCTDecode"
    )
    width, height = PAGE_PT
    resources = "/Font << /F1 6 0 R /F2 7 0 R >> /XObject << /Map 5 0 R >>"
    font = "<< /Type /Font /Subtype /Type1 /BaseFont /{} /Encoding /WinAnsiEncoding >>"
    return _document([
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {width} {height}] /Contents 4 0 R "
        f"/Resources << {resources} >> >>".encode(),
        _stream("", content),
        _stream(image, picture.jpeg),
        font.format("Helvetica").encode(),
        font.format("Helvetica-Bold").encode(),
    ])  # fmt: skip


def _document(objects: list[bytes]) -> bytes:
    """Number the objects, and close with the table of where each begins."""
    out = bytearray(b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n")
    starts = []
    for number, body in enumerate(objects, start=1):
        starts.append(len(out))
        out += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    table = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % start for start in starts)
    out += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, table)
    return bytes(out)


def _stream(entries: str, data: bytes) -> bytes:
    return f"<< {entries} /Length {len(data)} >>\nstream\n".encode() + data + b"\nendstream"


def _draw_picture(picture: Picture) -> bytes:
    box = f"{picture.width_pt:.1f} 0 0 {picture.height_pt:.1f} {picture.x_pt:.1f} {picture.y_pt:.1f}"
    return f"q {box} cm /Map Do Q".encode()


def _draw_text(line: Text) -> bytes:
    font = "F2" if line.bold else "F1"
    shown = line.text.encode("cp1252", "replace")
    for special in (b"\\", b"(", b")"):
        shown = shown.replace(special, b"\\" + special)
    start = f"BT /{font} {line.size_pt:g} Tf {line.x_pt:.1f} {line.y_pt:.1f} Td ("
    return start.encode() + shown.replace(b"\n", b" ") + b") Tj ET"
