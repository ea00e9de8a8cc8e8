from __future__ import annotations

import cv2
import numpy as np
import pytest

from scaler.domain.asks import Asks
from scaler.domain.ground_control import may_hold_points, scaled_points
from scaler.imaging import scale_image


@pytest.mark.parametrize("factor", [2.0, 3.0, 0.5])
def test_a_point_stays_on_the_mark_that_it_is_of(factor: float) -> None:
    picture = np.zeros((60, 80), np.uint8)
    picture[20:22, 10:12] = 200
    scaled = scale_image(
        cv2.imencode(".png", picture)[1].tobytes(), Asks(factor=factor), pixels_at_most=10**6
    )
    pixels = cv2.imdecode(np.frombuffer(scaled.content, np.uint8), cv2.IMREAD_UNCHANGED)
    assert pixels is not None
    rows, columns = np.indices(pixels.shape)
    mark = np.average(columns, weights=pixels), np.average(rows, weights=pixels)
    point = scaled_points(b"EPSG:32633\n1 2 3 10.5 20.5 a.png p\n", factor).split()
    assert (float(point[4]), float(point[5])) == pytest.approx(mark, abs=0.01)


def test_all_but_pixels_stays_byte_for_byte() -> None:
    text = (
        b"+proj=utm +zone=33 +ellps=WGS84 +datum=WGS84 +units=m +no_defs\n"
        b"# 1 2 3 4 5 a comment.jpg\r\n"
        b"\t1.5 2.5\t3  10 20   a b.jpg  name extra\r\n"
        b"\n"
        b"1 2 3 left right a.jpg\n"
        b"1 2 3 4\n"
        b"4 5 6 0 0 \xc3\xa4.jpg"
    )
    lines = scaled_points(text, 2).split(b"\n")
    assert lines[2] == b"\t1.5 2.5\t3  20.5 40.5   a b.jpg  name extra\r"
    assert lines[-1] == b"4 5 6 0.5 0.5 \xc3\xa4.jpg"
    for number in (0, 1, 3, 4, 5):
        assert lines[number] == text.split(b"\n")[number]


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"EPSG:32633", bytes(range(256))])
def test_what_is_no_list_stays(content: bytes) -> None:
    assert scaled_points(content, 2) == content


def test_a_factor_of_one_moves_nothing() -> None:
    rng = np.random.default_rng(1)
    for x in rng.uniform(0, 5000, 20).round(2):
        text = f"1 2 3 {x:g} 7 a.jpg\n".encode()
        assert float(scaled_points(text, 1).split()[3]) == pytest.approx(float(text.split()[3]), abs=1e-4)


def test_which_texts_may_hold_points() -> None:
    names = ("gcp_list.txt", "sub/GCP_LIST.TXT", "points.txt", "geo.txt", "image_groups.txt", "align.las")
    assert [may_hold_points(name) for name in names] == [True, True, True, False, False, False]
