import pytest

from odm_gateway.domain.manifest import ListedFile, Manifest, counts_as_image, manifest_of, staged_names


def listed(*paths: str) -> list[ListedFile]:
    return [ListedFile(path=path, key=f"k/{path}", size_bytes=2) for path in paths]


def roles(manifest: Manifest) -> dict[str, str | None]:
    return {file.path: file.role for file in manifest.sidecars}


def test_files_are_images_or_have_roles_or_lie_beside_them() -> None:
    manifest = manifest_of(
        listed("b.JPG", "a/a.dng", "c.mp4", "GCP_LIST.txt", "geo.txt", "image_groups.txt",
               "align.laz", "seed.zip", "c.srt", "other.zip", "readme.txt")
    )  # fmt: skip
    assert [file.path for file in manifest.images] == ["a/a.dng", "b.JPG", "c.mp4"]
    assert roles(manifest) == {
        "GCP_LIST.txt": "gcp", "geo.txt": "geo", "image_groups.txt": "image_groups", "align.laz": "align",
        "seed.zip": "seed", "c.srt": None,
    }  # fmt: skip
    assert manifest.total_bytes == 18


def test_any_text_is_for_ground_control_where_nothing_else_is() -> None:
    assert roles(manifest_of(listed("b.txt", "a.txt", "geo.txt"))) == {"a.txt": "gcp", "geo.txt": "geo"}


def test_each_role_is_given_once() -> None:
    assert roles(manifest_of(listed("a/geo.txt", "b/geo.txt", "align.tif", "align.las"))) == {
        "a/geo.txt": "geo", "align.las": "align",
    }  # fmt: skip


def test_a_picture_to_align_with_is_no_image() -> None:
    assert [counts_as_image(name) for name in ("align.tif", "x/ALIGN.TIF", "aligned.tif")] == [
        False,
        False,
        True,
    ]


def test_a_manifest_without_roles_is_read_by_its_names() -> None:
    plain = Manifest(images=(), sidecars=tuple(listed("geo.txt", "gcp_list.txt", "align.las")))
    assert roles(plain.with_roles()) == {"geo.txt": "geo", "gcp_list.txt": "gcp", "align.las": "align"}


def test_roles_that_are_named_are_kept() -> None:
    file = listed("points.dat")[0].model_copy(update={"role": "gcp"})
    assert roles(Manifest(images=(), sidecars=(file,)).with_roles()) == {"points.dat": "gcp"}


@pytest.mark.parametrize(
    ("paths", "names"),
    [
        (["a/points.txt", "1.jpg"], {"a/points.txt": "gcp_list.txt", "1.jpg": "1.jpg"}),
        (["x/Geo.TXT", "x/align.LAZ"], {"x/Geo.TXT": "geo.txt", "x/align.LAZ": "align.laz"}),
        (["a/1.jpg", "b/1.jpg"], {"a/1.jpg": "1.jpg", "b/1.jpg": "b_1.jpg"}),
    ],
)
def test_engines_find_files_under_the_names_that_they_look_for(
    paths: list[str], names: dict[str, str]
) -> None:
    assert staged_names(manifest_of(listed(*paths)).files) == names
