import pytest

from odm_gateway.domain.assets import media_type, product_path


@pytest.mark.parametrize(
    ("asset", "path"),
    [
        ("all.zip", "all.zip"), ("orthophoto.tif", "odm_orthophoto/odm_orthophoto.tif"),
        ("odm_report/report.pdf", "odm_report/report.pdf"), ("dsm_tiles/3/1/2.png", "dsm_tiles/3/1/2.png"),
    ],
)  # fmt: skip
def test_known_downloads_lead_to_products(asset: str, path: str) -> None:
    assert product_path(asset) == path


@pytest.mark.parametrize(
    "asset",
    ["", "nope.bin", "../all.zip", "odm_report/../../x", "odm_report//x", "/etc/passwd", "odm_report/a\\b",
     "opensfm/x"],
)  # fmt: skip
def test_other_names_are_no_assets(asset: str) -> None:
    assert product_path(asset) is None


def test_json_products_are_not_declared_as_json() -> None:
    assert media_type("images.json") == "application/octet-stream"
