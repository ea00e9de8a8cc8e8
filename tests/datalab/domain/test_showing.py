"""Outputs in the form that clients read."""

from __future__ import annotations

from typing import Any

from datalab.domain.showing import keys_of, shown_output


def stored(basename: str, *kinds: str, **facts: Any) -> dict[str, Any]:
    files = {kind: {"key": f"k/{basename}.{kind}", "sha256": "ab", "size_bytes": 3} for kind in kinds}
    kind = "fits" if "fits" in kinds else "image"
    return {"basename": basename, "type": kind, "files": files, "comment": "", "facts": facts}


def shown(files: list[dict[str, Any]], data: list[dict[str, Any]]) -> dict[str, Any]:
    output = {"files": files, "data": data}
    return shown_output(output, {key: f"https://{key}" for key in keys_of(output)})


def test_files_have_a_url_for_each_kind() -> None:
    assert shown([stored("a", "fits", "large", "small")], []) == {
        "output_files": [
            {
                "basename": "a",
                "source": "datalab",
                "type": "fits",
                "fits_url": "https://k/a.fits",
                "large_url": "https://k/a.large",
                "small_url": "https://k/a.small",
                "sha256": "ab",
                "size_bytes": 3,
            }
        ]
    }


def test_pictures_that_explain_data_stand_with_the_data() -> None:
    pictures = [stored(f"k-{one}", "diagnostic", diagnostic_of=f"frame-{one}") for one in (1, 2)]

    found = shown([*pictures, stored("k-3", "fits")], [{"rows": [1]}, {"rows": []}])

    assert [one["basename"] for one in found["output_files"]] == ["k-3"]
    assert found["output_data"] == [
        {
            "rows": [1],
            "diagnostic_images": {
                "frame-1": "https://k/k-1.diagnostic",
                "frame-2": "https://k/k-2.diagnostic",
            },
        },
        {"rows": []},
    ]


def test_a_picture_without_data_is_a_file() -> None:
    found = shown([stored("k", "diagnostic", diagnostic_of="frame-1")], [])

    assert found["output_files"][0]["diagnostic_url"] == "https://k/k.diagnostic"
    assert "output_data" not in found
