"""HTTP to Vault: answers are bounded in size and time, and redirects never lead into the clear."""

from __future__ import annotations

import io
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3
from typing_extensions import override

from shared.source_settings import is_loopback

ANSWER_AT_MOST_BYTES = 4 << 20
"""On its own storage, Vault takes no secret above 1 MiB."""
_CHUNK_BYTES = 64 << 10
_REDIRECTS_AT_MOST = 3


class UnfitAnswerError(requests.exceptions.RequestException):
    """What answers cannot be Vault."""


class VaultSession(requests.Session):
    """A session that knows no ``.netrc``, and asks no proxy for this machine."""

    def __init__(self, url: str, *, timeout_s: float, ca_file: Path | None) -> None:
        super().__init__()
        self.status = 0
        self._timeout_s = timeout_s
        self.trust_env = not is_loopback(urlsplit(url).hostname or "")
        self.max_redirects = _REDIRECTS_AT_MOST
        self.auth = _as_it_is
        self.verify = str(ca_file) if ca_file else True
        self.hooks["response"].append(self._read)

    @override
    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Return where a standby node sends us, which gets our token: never from https to http."""
        target = super().get_redirect_target(resp)
        if target and resp.url.startswith("https:") and target.lower().startswith("http:"):
            raise UnfitAnswerError("it redirects to http://, where the token would travel in the clear")
        return target

    def _read(self, response: requests.Response, **_kwargs: Any) -> None:
        """Read an answer, before requests would read all of it, however long that is or takes."""
        self.status = response.status_code
        try:
            content = self._content(response)
        except requests.exceptions.RequestException:
            raise
        except urllib3.exceptions.ReadTimeoutError:
            raise requests.exceptions.ReadTimeout from None
        except (urllib3.exceptions.HTTPError, OSError):
            raise requests.exceptions.ConnectionError from None
        response.raw.release_conn()
        response.raw = io.BytesIO(content)

    def _content(self, response: requests.Response) -> bytes:
        ends_s = time.monotonic() + self._timeout_s
        content = bytearray()
        while chunk := response.raw.read1(_CHUNK_BYTES, decode_content=True):
            content += chunk
            if len(content) > ANSWER_AT_MOST_BYTES:
                response.raw.close()
                raise UnfitAnswerError(f"its answer is larger than {ANSWER_AT_MOST_BYTES} bytes")
            if time.monotonic() > ends_s:
                response.raw.close()
                raise requests.exceptions.ReadTimeout
        return bytes(content)


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request
