"""HTML for people: escaped, without scripts, and with nothing from elsewhere."""

from __future__ import annotations

import base64
import hashlib
from html import escape
from urllib.parse import urlencode

from fastapi.responses import HTMLResponse

STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; }
th, td { border-bottom: 1px solid #8884; padding: .35rem .6rem; text-align: left; vertical-align: top; }
td.figure, th.figure { text-align: right; font-variant-numeric: tabular-nums; }
dl { display: flex; flex-wrap: wrap; gap: .2rem 2rem; }
dl div { display: flex; gap: .5rem; }
dd { font-weight: 600; margin: 0; }
small { color: #777; }
"""

_STYLE_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()

_HEADERS = {
    "Content-Security-Policy": f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self';"
    " base-uri 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",  # the token stands in the address
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}


def page(title: str, content: str, *, again_after_s: int | None = None) -> HTMLResponse:
    """Return a page; ``content`` is HTML, asked for again after a while if so wanted."""
    again = f'<meta http-equiv="refresh" content="{again_after_s}">\n' if again_after_s else ""
    return HTMLResponse(
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"{again}<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n"
        f"<body>\n<h1>{escape(title)}</h1>\n{content}\n</body>\n</html>\n",
        headers=_HEADERS,
    )


def link(text: str, path: str, **query: str) -> str:
    """Return a link to a place of this server."""
    wanted = urlencode({name: value for name, value in query.items() if value})
    address = f"{path}?{wanted}" if wanted else path
    return f'<a href="{escape(address)}">{escape(text)}</a>'


def facts(rows: dict[str, str]) -> str:
    """Return a short list of names and values."""
    items = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in rows.items()
    )
    return f"<dl>{items}</dl>"
