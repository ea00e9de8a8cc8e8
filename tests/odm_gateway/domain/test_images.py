from odm_gateway.domain.images import flat_names, is_image


def test_images_are_told_by_their_suffix() -> None:
    assert [is_image(name) for name in ("a/DJI.JPG", "b.tiff", "gcp_list.txt", "jpg")] == [
        True,
        True,
        False,
        False,
    ]


def test_files_of_one_name_from_two_folders_stay_two() -> None:
    names = flat_names(["a/1.jpg", "b/1.JPG", "b_1.JPG", "2.jpg"])
    assert len({name.lower() for name in names.values()}) == 4
    assert names["a/1.jpg"] == "1.jpg"
