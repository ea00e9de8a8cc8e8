"""Sessions and operations as notebooks show them: small tables, with the pictures in them."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datalab_client.operations import Operation
    from datalab_client.sessions import Session

PICTURES_AT_MOST = 8
ROWS_AT_MOST = 100
_HEAD = "<tr><th>id</th><th>operation</th><th>status</th><th>progress</th><th>message</th><th></th></tr>"


def operation_html(operation: Operation) -> str:
    """Return an operation as a table of one row."""
    return f"<table>{_HEAD}{_row(operation, is_pictured=True)}</table>"


def session_html(session: Session) -> str:
    """Return a session as a table of its operations, the newest with their pictures."""
    shown = session.operations[-ROWS_AT_MOST:]
    rows = [_row(one, is_pictured=len(shown) - at <= PICTURES_AT_MOST) for at, one in enumerate(shown)]
    left_out = len(session.operations) - len(shown)
    note = f", the last {len(shown)} of {len(session.operations)} operations" if left_out else ""
    title = f"<b>{escape(session.name)}</b> (session {session.id}, {len(session.input_data)} files{note})"
    return f"{title}<table>{_HEAD}{''.join(rows)}</table>"


def table_html(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """Return plain values as a table."""
    top = "".join(f"<th>{escape(one)}</th>" for one in head)
    body = "".join("<tr>" + "".join(f"<td>{escape(str(one))}</td>" for one in row) + "</tr>" for row in rows)
    return f"<table><tr>{top}</tr>{body}</table>"


def _row(operation: Operation, *, is_pictured: bool) -> str:
    picture = operation.picture() if is_pictured else None
    cells = (operation.id, operation.name, operation.status, f"{operation.progress:.0%}", operation.message)
    told = "".join(f"<td>{escape(str(one))}</td>" for one in cells)
    return f"<tr>{told}<td>{_image(picture)}</td></tr>"


def _image(picture: bytes | None) -> str:
    """Return a picture that is there, too, when the notebook is opened later: links end after some days."""
    if picture is None:
        return ""
    return f'<img alt="" src="data:image/jpeg;base64,{b64encode(picture).decode()}" style="max-height:100px">'
