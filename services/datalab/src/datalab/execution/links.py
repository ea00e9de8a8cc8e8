"""URLs of results, made when they are read: those of the store, or of this service where it has none."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import timedelta

from pydantic import SecretStr

from shared.objects.port import NoUrlError, ObjectStore
from shared.objects.signing import Signer, verify_presigned

PATH = "api/results"
COUNTS_FOR = timedelta(days=7)
"""As long as signature version 4 allows."""
SHOWN_FOR_S = 86_400.0
"""How long the same URL is given again, which browsers then have already: it counts for six days more."""
REMEMBERED = 20_000


@dataclass(slots=True)
class Links:
    """Makes URLs, and knows those that it made."""

    objects: ObjectStore
    secret: SecretStr
    _made: OrderedDict[tuple[str, str], tuple[float, str]] = field(default_factory=OrderedDict)
    _has_urls: bool = True

    async def urls(self, keys: Iterable[str], base_url: str) -> dict[str, str]:
        """Return a URL of each object, which opens it to anybody for days.

        Args:
            keys: Of the objects.
            base_url: Of this service, without a slash at its end.
        """
        oldest_s = time.monotonic() - SHOWN_FOR_S
        found: dict[str, str] = {}
        for key in keys:  # lists of sessions have thousands
            known = self._made.get((key, base_url))
            is_fresh = known is not None and known[0] > oldest_s
            found[key] = known[1] if known and is_fresh else await self._new(key, base_url)
        return found

    def is_genuine(self, key: str, parameters: dict[str, str]) -> bool:
        """Return whether a URL of this service was made here, and still counts."""
        return verify_presigned(key, parameters, self.secret)

    async def _new(self, key: str, base_url: str) -> str:
        url = await self._signed(key, base_url)
        self._made[key, base_url] = (time.monotonic(), url)
        if len(self._made) > REMEMBERED:
            self._made.popitem(last=False)
        return url

    async def _signed(self, key: str, base_url: str) -> str:
        if self._has_urls:
            try:
                return await self.objects.presign(key, expires=COUNTS_FOR)
            except NoUrlError:
                self._has_urls = False
        return Signer(f"{base_url}/{PATH}", self.secret).url(key, COUNTS_FOR)
