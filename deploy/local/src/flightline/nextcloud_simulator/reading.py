"""What wsgidav does for the simulator: reads with ranges and dates, copies and dead properties."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, cast

from flightline.nextcloud_simulator.tree import Tree

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from wsgidav.fs_dav_provider import (  # type: ignore[import-untyped]
        FileResource,
        FilesystemProvider,
        FolderResource,
    )
    from wsgidav.wsgidav_app import WsgiDAVApp  # type: ignore[import-untyped]

Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Any]

_BLOCK_BYTES = 1 << 20


class _File(FileResource):  # type: ignore[misc]
    """A file with the ETag that the index knows."""

    def get_etag(self) -> str:
        node = self.provider.tree.existing(self.path.strip("/"))
        return cast("str", node.etag)


class _Folder(FolderResource):  # type: ignore[misc]
    """A folder with the ETag that the index knows."""

    def get_etag(self) -> str:
        node = self.provider.tree.existing(self.path.strip("/"))
        return cast("str", node.etag)


class _Provider(FilesystemProvider):  # type: ignore[misc]
    def __init__(self, tree: Tree) -> None:
        super().__init__(str(tree.folder), fs_opts={})
        self.tree = tree

    def get_resource_inst(self, path: str, environ: dict[str, Any]) -> Any:
        found = super().get_resource_inst(path, environ)
        if found is None:
            return None
        kind = _Folder if found.is_collection else _File
        return kind(path, environ, found._file_path)  # noqa: SLF001 - wsgidav has no other way


def reading(tree: Tree, shares: list[str]) -> Wsgi:
    """Return a WSGI application that shows the tree at several addresses."""
    application = WsgiDAVApp(
        {
            "provider_mapping": {share: _Provider(tree) for share in shares},
            "simple_dc": {"user_mapping": {"*": True}},
            "http_authenticator": {
                "accept_basic": True,
                "accept_digest": False,
                "default_to_digest": False,
            },
            "dir_browser": {"enable": False},
            "lock_storage": False,
            "block_size": _BLOCK_BYTES,
            "logging": {"enable": False},
            "verbose": 0,
        }
    )
    return cast("Wsgi", application)
