"""Metadata are carried byte for byte, but for numbers that count pixels; broken ones are not touched."""

from __future__ import annotations

import struct
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scaler.domain.asks import Asks
from scaler.imaging import exif, read_header, xmp
from scaler.imaging.job import Job
from tests.scaler.imaging.pictures import XMP, exif_block, jpeg, scaled, segment, segments_of, tag_values

EXIF_HEAD = b"Exif\x00\x00"
XMP_HEAD = b"http://ns.adobe.com/xap/1.0/\x00"
FIELDS = {("image", 0x100), ("image", 0x101), ("photo", 0xA002), ("photo", 0xA003)}
DENSITIES = {("photo", 0xA20E), ("photo", 0xA20F)}


def carried(*segments: bytes) -> list[tuple[int, bytes]]:
    return segments_of(scaled(jpeg(head=b"".join(segments))).content)


def job(factor: float = 2.0, size: tuple[int, int] = (96, 64)) -> Job:
    content = jpeg()
    asks = Asks(factor)
    return Job(content, read_header(content), asks, asks.size(*size))


@pytest.mark.parametrize("order", "<>")
def test_pixels_and_focal_plane_are_corrected_and_nothing_else(order: str) -> None:
    before = exif_block(order)
    ((_, payload), _) = carried(segment(0xE1, EXIF_HEAD + before))
    after = payload.removeprefix(EXIF_HEAD)
    was, now = tag_values(before), tag_values(after)

    assert len(after) == len(before)
    assert {name for name in was if was[name] != now[name]} == FIELDS | DENSITIES
    assert all(now[name][1] == 2 * was[name][1] for name in FIELDS)
    assert all(Fraction(*now[name][1]) == 2 * Fraction(*was[name][1]) for name in DENSITIES)
    changed = {at for at in range(len(before)) if before[at] != after[at]}
    assert changed <= {byte for name in FIELDS | DENSITIES for byte in range(was[name][0], was[name][0] + 8)}


@pytest.mark.parametrize("factor", [0.1, 0.5, 1.37, 3, 8])
def test_the_focal_ratio_stays_at_every_factor(factor: float) -> None:
    before = exif_block(width=4000, height=3000)
    one = job(factor)
    was, now = tag_values(before), tag_values(exif.corrected(before, one, []))

    for name, growth in zip(sorted(DENSITIES), one.growth, strict=True):
        assert Fraction(*now[name][1]) == Fraction(*was[name][1]) * growth


def test_a_fraction_too_long_for_its_place_is_the_nearest_one() -> None:
    over, under = exif.rational(Fraction(4294967291 * 3, 4294967279 * 7))

    assert max(over, under) < 1 << 32
    assert over / under == pytest.approx(4294967291 * 3 / (4294967279 * 7), rel=1e-15)


def test_a_short_that_grows_too_large_becomes_a_long() -> None:
    block = bytearray(exif_block())
    at = tag_values(bytes(block))["photo", 0xA003][0]
    block[at : at + 2] = struct.pack("<H", 60_000)

    assert tag_values(exif.corrected(bytes(block), job(), []))["photo", 0xA003] == (at, 120_000)


def test_everything_else_is_carried_byte_for_byte_and_in_its_order() -> None:
    profile = b"".join(
        segment(0xE2, b"ICC_PROFILE\x00" + bytes((part, 2)) + bytes([part]) * 60_000) for part in (1, 2)
    )
    rest = [
        segment(0xE0, b"JFIF\x00\x01\x01\x01\x01\x2c\x01\x2c\x00\x00"),
        profile,
        segment(0xE1, b"http://ns.adobe.com/xmp/extension/\x00" + bytes(40)),
        segment(0xED, b"Photoshop 3.0\x008BIM\x04\x04\x00\x00\x00\x00\x00\x00"),
        segment(0xE3, b"thermal" * 900),
        segment(0xEE, b"Adobe\x00\x64\x00\x00\x00\x00\x01"),
        segment(0xFE, b"a comment"),
    ]
    content = scaled(jpeg(head=b"".join(rest))).content

    assert content[2:].startswith(b"".join(rest))
    marker, comment = segments_of(content)[-1]
    assert marker == 0xFE
    assert comment.startswith(b"Scaled by 2 from 96x64 to 192x128 (linear) by Flightline; source sha256=")


def test_dji_numbers_in_pixels_are_corrected_and_the_rest_of_the_packet_is_not_touched() -> None:
    ((_, payload), _) = carried(segment(0xE1, XMP_HEAD + XMP))
    wanted = XMP
    for was, now in {
        b'Length="3666.666504"': b'Length="7333.333008"',
        b'CenterX="2736.000000"': b'CenterX="5472.000000"',
        b">1824.000000<": b">3648.000000<",
        b">96<": b">192<",
        b";3658.5,3657.25,-11.9,6,": b";7317.0,7314.50,-23.8,12,",
    }.items():
        assert wanted.count(was) == 1
        wanted = wanted.replace(was, now)

    assert payload == XMP_HEAD + wanted


def test_an_xmp_packet_without_room_to_grow_stays_as_it_is() -> None:
    packet = XMP_HEAD + XMP.replace(b">96<", b">960<")
    packet += b" " * (65_533 - len(packet))
    result = scaled(jpeg(head=segment(0xE1, packet)), Asks(8))

    assert segments_of(result.content)[0] == (0xE1, packet)
    assert "the XMP has no room for the scaled numbers; it is as it was" in result.notes


def outside(block: bytes) -> bytes:
    at = tag_values(block)["image", 0x8769][0]
    return block[:at] + struct.pack("<I", len(block) + 5) + block[at + 4 :]


def loop(block: bytes) -> bytes:
    at = tag_values(block)["image", 0x8769][0]
    return block[:at] + struct.pack("<I", 8) + block[at + 4 :]


def number_on_directory(block: bytes) -> bytes:
    place = tag_values(block)["photo", 0xA20E][0]
    at = block.index(struct.pack("<HHII", 0xA20E, 5, 1, place)) + 8
    return block[:at] + struct.pack("<I", 10) + block[at + 4 :]


@pytest.mark.parametrize(
    "breakage",
    [outside, loop, number_on_directory, lambda block: block[:20], lambda _: b"XX*\x00", lambda _: b""],
)
def test_a_broken_block_stays_as_it_is_and_is_told(breakage: object) -> None:
    assert callable(breakage)
    broken = breakage(exif_block())
    result = scaled(jpeg(head=segment(0xE1, EXIF_HEAD + broken)))

    assert segments_of(result.content)[0] == (0xE1, EXIF_HEAD + broken)
    assert any("EXIF block" in note for note in result.notes)


@given(st.binary(max_size=200), st.integers(0, 400), st.binary(min_size=1, max_size=12))
@settings(max_examples=80, deadline=None)
def test_no_block_whatever_changes_its_length_or_fails(start: bytes, at: int, patch: bytes) -> None:
    block = bytearray(exif_block())
    block[at : at + len(patch)] = patch

    for content in (start, b"II*\x00" + start, b"MM\x00*" + start, bytes(block)):
        assert len(exif.corrected(content, job(), [])) == len(content)


@given(st.integers(0, len(XMP)), st.binary(max_size=30))
@settings(max_examples=100, deadline=None)
def test_no_packet_whatever_fails(at: int, patch: bytes) -> None:
    packet = XMP[:at] + patch + XMP[at:]

    assert xmp.corrected(packet, job(1.0), []) == packet
    assert abs(len(xmp.corrected(packet, job(8.0), [])) - len(packet)) < 20
