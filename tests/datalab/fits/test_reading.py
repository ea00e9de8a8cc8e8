"""FITS images are read as astropy reads them, and what is none is refused with the file's name."""

from __future__ import annotations

import gzip
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from datalab.fits import hdus
from datalab.fits.catalog import read_catalog
from datalab.fits.reader import FrameReader, read_frame
from datalab.operations.operation import OperationError
from tests.support.star_fields import star_field, write_banzai

Pixels = NDArray[Any]
RANDOM = np.random.default_rng(3)


def noise(kind: str, shape: tuple[int, int] = (70, 131)) -> Pixels:
    span = {"u1": 40, "i2": 300, "u2": 300, "i4": 1e6, "u4": 1e6}.get(kind, 12)
    middle = {"u1": 128, "i2": -500, "i4": -(10**7)}.get(kind, 20_000)
    values = RANDOM.normal(middle, span, shape)
    return (values.clip(0, 255) if kind == "u1" else values).astype(kind)


def written(path: Path, *parts: Any) -> Path:
    fits.HDUList([fits.PrimaryHDU(), *parts]).writeto(path)
    return path


def same_as_astropy(path: Path, number: int = 1) -> Pixels:
    """Read both ways, whole and by uneven rows, and return what was read."""
    with fits.open(path) as units:
        wanted = np.array(units[number].data)
    frame = read_frame(path)
    assert frame.pixels.dtype == wanted.dtype.newbyteorder("=")
    assert np.array_equal(frame.pixels, wanted, equal_nan=wanted.dtype.kind == "f")
    with FrameReader(path) as reader:
        assert (reader.shape, reader.dtype) == (wanted.shape, frame.pixels.dtype)
        cuts = [0, 1, 18, 19, min(60, len(wanted)), len(wanted)]
        rows = [reader.rows(start, stop) for start, stop in itertools.pairwise(cuts) if start < stop]
    assert np.array_equal(np.concatenate(rows), wanted, equal_nan=wanted.dtype.kind == "f")
    return frame.pixels


@pytest.mark.parametrize("kind", ["u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"])
def test_plain_images_are_read_in_the_numbers_that_are_stored(tmp_path: Path, kind: str) -> None:
    pixels = noise(kind)

    assert np.array_equal(same_as_astropy(written(tmp_path / "a.fits", fits.ImageHDU(pixels))), pixels)


@pytest.mark.parametrize("compression", ["RICE_1", "GZIP_1", "GZIP_2", "HCOMPRESS_1"])
@pytest.mark.parametrize("tile", [None, (16, 131), (16, 50)])
@pytest.mark.parametrize("kind", ["u1", "i2", "u2", "i4"])
def test_whole_numbers_in_tiles_are_read_as_they_were(
    tmp_path: Path, kind: str, tile: tuple[int, int] | None, compression: str
) -> None:
    pixels = noise(kind)
    unit = fits.CompImageHDU(pixels, compression_type=compression, tile_shape=tile)

    assert np.array_equal(same_as_astropy(written(tmp_path / "a.fits.fz", unit)), pixels)


def test_masks_packed_as_lists_are_read_by_astropy(tmp_path: Path) -> None:
    pixels = (noise("i2") > -300).astype(np.int16)

    same_as_astropy(written(tmp_path / "a.fz", fits.CompImageHDU(pixels, compression_type="PLIO_1")))


@pytest.mark.parametrize("dither", [-1, 1, 2])
@pytest.mark.parametrize("compression", ["RICE_1", "GZIP_2"])
@pytest.mark.parametrize("tile", [None, (16, 50)])
def test_quantised_floats_are_read_bit_by_bit_as_astropy_reads_them(
    tmp_path: Path, dither: int, compression: str, tile: tuple[int, int] | None
) -> None:
    pixels = noise("f4")
    pixels[3:5, 7:30] = np.nan
    pixels[20, 4:9] = 0
    pixels[40] = 0
    unit = fits.CompImageHDU(
        pixels, compression_type=compression, quantize_method=dither, dither_seed=9985, tile_shape=tile
    )

    found = same_as_astropy(written(tmp_path / "a.fits.fz", unit))

    assert np.array_equal(np.isnan(found), np.isnan(pixels))


@pytest.mark.parametrize("kind", ["f4", "f8"])
@pytest.mark.parametrize("compression", ["GZIP_1", "GZIP_2"])
def test_floats_that_were_not_quantised_come_back_as_they_were(
    tmp_path: Path, kind: str, compression: str
) -> None:
    pixels = noise(kind)
    unit = fits.CompImageHDU(pixels, compression_type=compression, quantize_level=0)

    assert np.array_equal(same_as_astropy(written(tmp_path / "a.fits.fz", unit)), pixels)


def test_tiles_that_could_not_be_quantised_are_read_too(tmp_path: Path) -> None:
    pixels = noise("f4")
    pixels[10] = 5.5
    pixels[11, ::2] = 1e30
    path = written(tmp_path / "a.fits.fz", fits.CompImageHDU(pixels, quantize_level=16))

    assert np.array_equal(same_as_astropy(path)[10:12], pixels[10:12])


@given(
    st.integers(1, 40),
    st.integers(1, 80),
    st.sampled_from(["u1", "i2", "u2", "i4"]),
    st.integers(0, 10**6),
    st.sampled_from([0, 1, 30, 1e4, 1e9]),
)
@settings(max_examples=40, deadline=None)
def test_rice_codes_of_any_noise_are_undone(
    tmp_path_factory: pytest.TempPathFactory, height: int, width: int, kind: str, seed: int, span: float
) -> None:
    limits = np.iinfo(kind)
    values = np.random.default_rng(seed).normal(0, span, (height, width))
    pixels = values.clip(limits.min, limits.max).astype(kind)
    path = tmp_path_factory.mktemp("rice") / "a.fits.fz"
    written(path, fits.CompImageHDU(pixels, compression_type="RICE_1"))

    assert np.array_equal(read_frame(path).pixels, pixels)


def test_scaled_numbers_and_blanks_are_floats(tmp_path: Path) -> None:
    unit = fits.ImageHDU(noise("i2").clip(-600, -400))
    unit.header["BLANK"] = int(unit.data[2, 3])
    unit.header["BUNIT"] = "adu"
    path = written(tmp_path / "a.fits", unit)
    with fits.open(path, mode="update", do_not_scale_image_data=True) as units:
        units[1].header.update(BSCALE=0.5, BZERO=100)

    frame = read_frame(path)

    with fits.open(path) as units:
        assert np.array_equal(frame.pixels, units[1].data, equal_nan=True)
    assert np.isnan(frame.pixels[2, 3])
    assert "BSCALE" not in frame.header
    assert frame.header["BUNIT"] == "adu"


@pytest.mark.parametrize("compress", ["rice", "gzip", None])
def test_a_reduced_frame_is_read_with_mask_error_and_catalogue(tmp_path: Path, compress: Any) -> None:
    field = star_field(size=64, stars=12, hot_pixels=9)
    path = write_banzai(tmp_path / "a-e91.fits.fz", field, compress=compress)

    frame = read_frame(path, want_error=True, rows=slice(8, 40))
    catalogue = read_catalog(path)

    with fits.open(path) as units:
        assert np.array_equal(frame.pixels, units["SCI"].data[8:40])
        assert frame.error is not None
        assert np.array_equal(frame.error, units["ERR"].data[8:40])
        assert catalogue is not None
        assert np.array_equal(catalogue["x"], units["CAT"].data["x"])
    assert frame.mask is not None
    assert np.array_equal(frame.mask, field.bad[8:40])
    assert frame.header["FILTER"] == "rp"
    assert not [key for key in frame.header if key.startswith(("ZTILE", "TFORM", "NAXIS", "ZCMPTYPE"))]


def test_cards_of_the_primary_are_taken_over_where_the_image_lacks_them(tmp_path: Path) -> None:
    primary = fits.PrimaryHDU()
    primary.header.update(SITEID="ogg", FILTER="gp")
    image = fits.ImageHDU(noise("f4"), name="SCI")
    image.header["FILTER"] = "rp"
    fits.HDUList([primary, image]).writeto(tmp_path / "a.fits")

    header = read_frame(tmp_path / "a.fits").header

    assert (header["SITEID"], header["FILTER"]) == ("ogg", "rp")


def test_the_science_image_is_chosen_before_others(tmp_path: Path) -> None:
    images = [fits.ImageHDU(noise("f4")), fits.ImageHDU(noise("u2"), name="sci")]

    same_as_astropy(written(tmp_path / "a.fits", *images), 2)


def test_an_image_of_the_primary_or_with_an_axis_of_one_is_an_image(tmp_path: Path) -> None:
    pixels = noise("u2")
    fits.PrimaryHDU(pixels[None]).writeto(tmp_path / "a.fits")

    assert np.array_equal(read_frame(tmp_path / "a.fits").pixels, pixels)


def test_a_gzipped_file_is_expanded(tmp_path: Path) -> None:
    pixels = noise("u2")
    whole = written(tmp_path / "a.fits", fits.ImageHDU(pixels), fits.BinTableHDU.from_columns([], name="CAT"))
    (tmp_path / "a.fits.gz").write_bytes(gzip.compress(whole.read_bytes()))

    assert np.array_equal(read_frame(tmp_path / "a.fits.gz").pixels, pixels)
    assert read_catalog(tmp_path / "a.fits.gz") is not None


@pytest.mark.parametrize("size", [10, 3000, 12_000])
def test_a_gzipped_file_that_ends_too_early_is_refused(tmp_path: Path, size: int) -> None:
    whole = written(tmp_path / "a.fits", fits.ImageHDU(noise("u2")))
    (tmp_path / "b.fits.gz").write_bytes(gzip.compress(whole.read_bytes())[:size])

    with pytest.raises(OperationError, match=r"b\.fits\.gz is truncated"):
        read_frame(tmp_path / "b.fits.gz")


def refused(path: Path, content: bytes | None = None) -> str:
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(OperationError) as error, FrameReader(path, "named") as reader:
        reader.rows()
    return str(error.value)


def test_what_is_no_fits_is_refused(tmp_path: Path) -> None:
    for content in (b"", b"%PDF-1.7", b"SIMPLES", b"\0" * 100_000, b"SIMPLEX = 1" + b" " * 6000):
        assert refused(tmp_path / "a.fits", content) == "named is not a FITS file"


def test_a_file_without_image_or_with_a_cube_only_is_refused(tmp_path: Path) -> None:
    none = written(tmp_path / "none.fits", fits.BinTableHDU.from_columns([], name="CAT"))
    cube = written(tmp_path / "cube.fits", fits.ImageHDU(np.zeros((3, 4, 5), np.float32)))

    assert refused(none) == "named has no image"
    assert refused(cube) == "named has no image of two dimensions, but one of 5 x 4 x 3"


@pytest.mark.parametrize("compression", ["RICE_1", "GZIP_2", "HCOMPRESS_1", None])
def test_a_truncated_file_is_refused_wherever_it_ends(tmp_path: Path, compression: str | None) -> None:
    pixels = noise("u2")
    unit = fits.CompImageHDU(pixels, compression_type=compression) if compression else fits.ImageHDU(pixels)
    content = written(tmp_path / "a.fits.fz", unit).read_bytes()
    ends = range(2881, len(content) - hdus.BLOCK_BYTES, 997)

    said = {refused(tmp_path / "b.fits.fz", content[:size]) for size in ends}

    assert said <= {
        "named is truncated: it ends before its data do",
        "named is truncated: it ends within a header",
    }


def test_an_image_that_is_too_large_is_refused_before_anything_is_allocated(tmp_path: Path) -> None:
    unit = fits.ImageHDU(np.zeros((4, 4), np.uint8))
    content = written(tmp_path / "a.fits", unit).read_bytes()
    side = b"NAXIS1  =%21d" % 100_000
    large = content.replace(b"NAXIS1  =%21d" % 4, side).replace(
        b"NAXIS2  =%21d" % 4, side.replace(b"1  =", b"2  =", 1)
    )
    path = tmp_path / "b.fits"
    path.write_bytes(large)
    with path.open("r+b") as file:
        file.truncate(11 * 10**9)

    assert refused(path) == "named is too large: 100000 x 100000 pixels"


@pytest.mark.parametrize("value", ["-5", "1.5", "'a'", "T", "99999999999999999999"])
def test_sizes_that_cannot_be_are_refused(tmp_path: Path, value: str) -> None:
    content = written(tmp_path / "a.fits", fits.ImageHDU(noise("u2"))).read_bytes()
    said = refused(
        tmp_path / "b.fits", content.replace(b"NAXIS1  =%21d" % 131, b"NAXIS1  =%21s" % value.encode())
    )

    assert said.startswith("named is not readable: its header has NAXIS1 =")


def test_a_header_without_end_is_refused(tmp_path: Path) -> None:
    card = b"SIMPLE  =                    T".ljust(80)
    said = refused(tmp_path / "a.fits", card + b"COMMENT x".ljust(80) * 60_000)

    assert "has no end within" in said


@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=30))
@settings(max_examples=60, deadline=None)
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("compression", ["RICE_1", "GZIP_2"])
def test_damage_is_an_error_of_the_file_or_other_pixels(
    tmp_path_factory: pytest.TempPathFactory, compression: str, damage: list[tuple[int, int]]
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    unit = fits.CompImageHDU(noise("u2", (40, 60)), compression_type=compression)
    content = bytearray(written(folder / "a.fits.fz", unit).read_bytes())
    for place, value in damage:
        content[2880 + place % (len(content) - 2880)] = value
    (folder / "b.fits.fz").write_bytes(content)

    try:
        pixels = read_frame(folder / "b.fits.fz").pixels
    except OperationError as error:
        assert "b.fits.fz" in str(error)  # noqa: PT017 - both ends are right
    else:
        assert pixels.ndim == 2


def test_a_mask_of_another_size_is_refused(tmp_path: Path) -> None:
    parts = [fits.ImageHDU(noise("f4"), name="SCI"), fits.ImageHDU(np.zeros((3, 3), np.uint8), name="BPM")]

    assert "BPM" in refused(written(tmp_path / "a.fits", *parts))


@pytest.mark.parametrize("kind", ["u1", "i2", "u2", "i4", "f4"])
@pytest.mark.parametrize("compression", ["RICE_1", "GZIP_1", None])
@pytest.mark.parametrize("part", [0.0, 1e-3, 0.5, 1.0])
def test_bad_pixels_are_those_that_are_marked(
    tmp_path: Path, kind: str, compression: str | None, part: float
) -> None:
    """However marks are stored: rows without any, and many of the same, have a way of their own."""
    marks = (RANDOM.random((90, 70)) < part) * RANDOM.integers(1, 100, (90, 70))
    marks = marks.astype(kind)
    image = fits.ImageHDU(np.zeros((90, 70), np.float32), name="SCI")
    mask = fits.CompImageHDU(marks, name="BPM", compression_type=compression) if compression else None
    path = written(tmp_path / "a.fits", image, mask or fits.ImageHDU(marks, name="BPM"))

    with FrameReader(path) as reader, fits.open(path) as units:
        wanted = units["BPM"].data != 0
        for rows in (slice(0, 90), slice(13, 14)):
            bad = reader.bad(rows.start, rows.stop)
            assert bad is not None
            assert np.array_equal(bad, wanted[rows])


@pytest.mark.parametrize("span", [1, 300, 40_000, 3_000_000, 400_000_000])
def test_differences_of_any_size_are_unpacked(tmp_path: Path, span: int) -> None:
    """Four of them lie in eight bytes, or fewer, or one of them does not."""
    pixels = RANDOM.integers(-span, span, (40, 203)).astype(np.int32)
    pixels[::3, 50:90] //= 1000
    pixels[::5, 60] = 2_000_000_000

    same_as_astropy(written(tmp_path / "a.fits", fits.CompImageHDU(pixels, compression_type="RICE_1")))
