"""ZIP archives, honest and otherwise."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Mapping

LINK_MODE = 0o120777 << 16


def archive(files: Mapping[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    """Return an archive of ``files``."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", compression) as bundle:
        for name, content in files.items():
            bundle.writestr(zipfile.ZipInfo(name), content, compression)
    return target.getvalue()


def linking(name: str, to: str) -> bytes:
    """Return an archive of one image and a symbolic link."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as bundle:
        info = zipfile.ZipInfo(name)
        info.external_attr = LINK_MODE
        bundle.writestr(info, to)
        bundle.writestr("a.jpg", b"1")
    return target.getvalue()


def encrypted(files: Mapping[str, bytes]) -> bytes:
    """Return an archive that says that it is encrypted."""
    return _with_flag(archive(files), 0x1)


def _with_flag(content: bytes, flag: int) -> bytes:
    changed = bytearray(content)
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        place = -1
        while (place := changed.find(signature, place + 1)) >= 0:
            changed[place + offset] |= flag
    return bytes(changed)


def claiming(size_bytes: int) -> bytes:
    """Return an archive whose one image claims to unpack to ``size_bytes``."""
    content = bytearray(archive({"a.jpg": bytes(2000)}, zipfile.ZIP_DEFLATED))
    for signature, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        struct.pack_into("<L", content, content.find(signature) + offset, size_bytes)
    return bytes(content)


def bomb(size_bytes: int) -> bytes:
    """Return an archive of many entries that share one content: each is honest, together they are not."""
    honest = archive({"a.jpg": bytes(1 << 20)}, zipfile.ZIP_DEFLATED)
    return _repeated(honest, max(1, size_bytes >> 20))


def of_many_entries(count: int) -> bytes:
    """Return an archive with ``count`` entries in its directory."""
    return _repeated(archive({"a.jpg": b""}), count)


def lying_within(count: int) -> bytes:
    """Return an archive of entries whose contents share all their bytes but the headers: quoted overlaps."""
    files = {f"{number}.jpg": bytes(4 << 20) for number in range(count)}
    content = bytearray(archive(files, zipfile.ZIP_DEFLATED))
    place = -1
    first = struct.unpack_from("<L", content, content.find(b"PK\x01\x02") + 20)[0]
    while (place := content.find(b"PK\x01\x02", place + 1)) >= 0:
        start = struct.unpack_from("<L", content, place + 42)[0]
        size_bytes = first * count - start  # up to the end of the last one
        struct.pack_into("<L", content, place + 20, max(first, size_bytes))
    return bytes(content)


def expanding(count_mib: int, compression: int) -> bytes:
    """Return an archive of a file that says that it is small, and unpacks to ``count_mib`` MiB."""
    target, info = io.BytesIO(), zipfile.ZipInfo("a.tif")
    info.compress_type = compression
    with zipfile.ZipFile(target, "w") as bundle, bundle.open(info, "w") as file:
        for _ in range(count_mib):
            file.write(bytes(1 << 20))
    changed = bytearray(target.getvalue())
    for signature, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        struct.pack_into("<L", changed, changed.find(signature) + offset, 900_000)
    return bytes(changed)


def with_second_damaged(count: int) -> bytes:
    """Return an archive of which all files but the second half are whole."""
    content = archive({f"{number:03}.jpg": f"<{number:03}>".encode() for number in range(count)})
    for number in range(count // 2, count):
        content = content.replace(f"<{number:03}>".encode(), b"<xxx>", 1)
    return content


def _repeated(content: bytes, count: int) -> bytes:
    start = content.find(b"PK\x01\x02")
    end = content.find(b"PK\x05\x06")
    directory = content[start:end] * count
    end64 = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, count, count, len(directory), start)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, start + len(directory), 1)
    last = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    return content[:start] + directory + end64 + locator + last
