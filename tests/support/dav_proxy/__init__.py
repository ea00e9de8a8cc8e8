"""Between a client and a WebDAV server: what networks, proxies and power cuts do, at a chosen request.

with dav_proxy(server.address) as proxy:
    proxy.add(Rule(Drop("answer"), method="MOVE"))
    place = server.at(proxy.url)
"""

from tests.support.dav_proxy.faults import (
    GARBAGE,
    HTML,
    Answer,
    Cut,
    Delay,
    Drop,
    Duplicate,
    Kill,
    Meanwhile,
    Moment,
    Respond,
    Rewrite,
    weak_etags,
    wrong_length,
)
from tests.support.dav_proxy.proxy import DavProxy, dav_proxy
from tests.support.dav_proxy.rules import Met, Rule

__all__ = [
    "GARBAGE",
    "HTML",
    "Answer",
    "Cut",
    "DavProxy",
    "Delay",
    "Drop",
    "Duplicate",
    "Kill",
    "Meanwhile",
    "Met",
    "Moment",
    "Respond",
    "Rewrite",
    "Rule",
    "dav_proxy",
    "weak_etags",
    "wrong_length",
]
