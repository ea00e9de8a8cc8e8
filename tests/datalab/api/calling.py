"""What tests of the API have in common."""

from __future__ import annotations

from typing import Any

import httpx

CARD_CHARACTERS = 80
BLOCK_BYTES = 2880

SESSIONS = "/api/datasessions/"


def fits_bytes(fill: int = 0) -> bytes:
    """Return a FITS file of 8 by 8 pixels, all alike."""
    cards = [
        "SIMPLE  =                    T",
        "BITPIX  =                    8",
        "NAXIS   =                    2",
    ]
    cards += ["NAXIS1  =                    8", "NAXIS2  =                    8", "END"]
    header = "".join(card.ljust(CARD_CHARACTERS) for card in cards).ljust(BLOCK_BYTES).encode()
    return header + bytes([fill] * 64).ljust(BLOCK_BYTES, b"\0")


def upload(client: httpx.Client, name: str = "a.fits", content: bytes | None = None) -> httpx.Response:
    """Bring a file."""
    return client.post("/api/uploads/", files={"file": (name, fits_bytes() if content is None else content)})


def uploaded(client: httpx.Client, name: str = "a.fits", fill: int = 0) -> dict[str, Any]:
    """Bring a file and return it as operations name it."""
    answer = upload(client, name, fits_bytes(fill))
    assert answer.status_code in (200, 201), answer.text
    return {"type": "fitsfile", "source": "upload", "basename": answer.json()["basename"]}


def made(client: httpx.Client, name: str = "session", items: list[Any] | None = None) -> dict[str, Any]:
    """Make a session."""
    answer = client.post(SESSIONS, json={"name": name, "input_data": items or []})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def asked(client: httpx.Client, session: int, **more: Any) -> dict[str, Any]:
    """Ask for an operation on a file of one's own."""
    inputs = {"input_files": [uploaded(client)], **more}
    answer = client.post(operations(session), json={"name": "Median", "input_data": inputs})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def operations(session: int) -> str:
    """Return the path of a session's operations."""
    return f"{SESSIONS}{session}/operations/"
