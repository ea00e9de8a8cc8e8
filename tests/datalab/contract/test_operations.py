"""What clients' wizards are told of each operation, row by row: exact names, keys, types and attributes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import pytest

from datalab.operations.registry import registry
from tests.support.lab import RunningLab, running_lab

MANY = {"type": "fits", "minimum": 2, "maximum": 999, "required": True}
SOME = {"type": "fits", "minimum": 1, "maximum": 999, "required": True}
ONE = {"type": "fits", "minimum": 1, "maximum": 1, "required": True}
BAND = {"single_filter": True, "filter_options": ["rp", "ip", "gp", "zs"]}
STAR = {"type": "source", "required": True, "name_lookup": True}
APERTURES = {
    "input_files": {**SOME, **BAND},
    "aperture_radius": {"type": "float", "default": 7.64},
    "annulus_inner_radius": {"type": "float", "default": 12.73},
    "annulus_outer_radius": {"type": "float", "default": 19.1},
    "min_comparisons": {"type": "int", "default": 5},
    "max_comparisons": {"type": "int", "default": 10},
}

ROWS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "Median": {"input_files": MANY},
    "Stacking": {
        "input_files": MANY,
        "stacking_mode": {"type": "select", "options": ["simple", "reproject"], "default": "simple"},
    },
    "Normalization": {"input_files": SOME},
    "Subtraction": {"input_files": SOME, "subtraction_file": ONE},
    "Color Image": {
        "color_channels": {
            "type": "fits",
            "minimum": 1,
            "maximum": 6,
            "include_custom_scale": True,
            "color_picker": True,
        }
    },
    "Light Curve": {"source": STAR, "input_files": {**SOME, **BAND}},
    "Variable Star": {"source": STAR, "input_files": {**SOME, **BAND, "minimum": 8}},
    "Aperture Photometry": {
        "target_positions": {"type": "target_positions", "minimum": 1, "required": True},
        **APERTURES,
    },
    "Non-Sidereal Aperture Photometry": APERTURES,
    "Moving Target Aperture Photometry": {
        "target_positions": {"type": "target_positions", "minimum": 2, "required": True},
        "track_search_radius": {"type": "float", "default": 10.0},
        **APERTURES,
    },
    "HR Diagram": {
        "blue_filter_files": {**ONE, "single_filter": True, "filter_options": ["gp"]},
        "red_filter_files": {**ONE, "single_filter": True, "filter_options": ["rp", "ip", "zs"]},
        "cluster": STAR,
        "search_radius_arcmin": {"type": "float", "default": 15.0},
    },
}
BESIDE = {"Sigma-Clipped Stack", "Align", "Calibrate", "Mosaic", "Region Statistics"}
TYPES = {"fits", "select", "source", "float", "int", "target_positions", "string", "image"}
ATTRIBUTES = {
    *("name", "description", "type", "minimum", "maximum", "default", "required", "options"),
    *("single_filter", "filter_options", "include_custom_scale", "color_picker", "name_lookup"),
    *("requires_filter", "multiple"),
}


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningLab]:
    """Run datalab with the operations that are shipped."""
    with running_lab(tmp_path_factory.mktemp("operations"), known=None) as running:
        yield running


@pytest.fixture(scope="module")
def told(lab: RunningLab) -> dict[str, Any]:
    """Return what is told of the operations."""
    return dict(lab.user().get("/api/available_operations/").json())


def test_there_are_the_operations_that_clients_know_and_what_peers_have(told: dict[str, Any]) -> None:
    """Row: GET /api/available_operations/, exact names."""
    assert told.keys() == ROWS.keys() | BESIDE
    for name, form in told.items():
        assert list(form) == ["name", "description", "category", "inputs"]
        assert form["name"] == name
        assert form["category"] in ("image", "data")
        for key, field in form["inputs"].items():
            assert field["type"] in TYPES, (name, key)
            assert field.keys() <= ATTRIBUTES, (name, key)


@pytest.mark.parametrize("name", ROWS)
def test_an_operation_asks_for_what_clients_send(told: dict[str, Any], name: str) -> None:
    """Row: wizards of the eleven operations."""
    inputs = told[name]["inputs"]

    assert inputs.keys() >= ROWS[name].keys()
    for key, attributes in ROWS[name].items():
        assert {one: inputs[key].get(one) for one in attributes} == attributes, key
    beside = {key: field for key, field in inputs.items() if key not in ROWS[name]}
    assert not [key for key, field in beside.items() if field["required"]]


FILES = [{"source": "upload", "basename": f"{number}.fits"} for number in range(8)]
PLACE = {"ra": 150.0, "dec": 2.2}
COLOUR = {"color": {"r": 255, "g": 0, "b": 0}}
SENT: Mapping[str, Mapping[str, Any]] = {
    "Median": {"input_files": FILES[:2]},
    "Stacking": {"input_files": FILES[:2], "stacking_mode": "reproject"},
    "Normalization": {"input_files": FILES[:1]},
    "Subtraction": {"input_files": FILES[:1], "subtraction_file": FILES[1:2]},
    "Color Image": {"color_channels": [{**FILES[0], **COLOUR, "zmin": 1, "zmax": 2}]},
    "Light Curve": {"source": PLACE, "input_files": FILES[:1]},
    "Variable Star": {"source": PLACE, "input_files": FILES},
    "Aperture Photometry": {
        "target_positions": [PLACE],
        "input_files": FILES[:1],
        "aperture_radius": 7.64,
        "annulus_inner_radius": 12.73,
        "annulus_outer_radius": 19.1,
        "min_comparisons": 5,
        "max_comparisons": 10,
    },
    "Non-Sidereal Aperture Photometry": {"input_files": FILES[:1], "aperture_radius": 7.64},
    "Moving Target Aperture Photometry": {
        "target_positions": [{**PLACE, "mjd": 60000.1}, {**PLACE, "mjd": 60000.2}],
        "input_files": FILES[:2],
        "track_search_radius": 10,
    },
    "HR Diagram": {
        "blue_filter_files": FILES[:1],
        "red_filter_files": FILES[1:2],
        "cluster": {**PLACE, "name": "M 67"},
        "search_radius_arcmin": 15,
    },
}


def test_bodies_as_clients_send_them_suit_the_operations() -> None:
    """Row: inputs of the eleven operations."""
    assert SENT.keys() == ROWS.keys()
    for name, inputs in SENT.items():
        assert registry()[name].inputs.model_validate(inputs)


FEW: Mapping[str, list[dict[str, str]]] = {
    "Median": [],
    "Stacking": FILES[:1],
    "Normalization": [],
    "Subtraction": [],
    "Light Curve": [],
    "Variable Star": FILES[:7],
    "Aperture Photometry": [],
    "Non-Sidereal Aperture Photometry": [],
    "Moving Target Aperture Photometry": [],
}


@pytest.mark.parametrize("name", FEW)
def test_too_few_files_are_told_by_the_field(lab: RunningLab, name: str) -> None:
    """Row: least numbers of files; Row: fault 3, bad bodies were a 500."""
    user = lab.user()
    session = user.post("/api/datasessions/", json={"name": "x"}).json()["id"]
    path = f"/api/datasessions/{session}/operations/"

    wrong: list[Any] = [FEW[name], FILES[:1] * 1000, "x", None, [None], [{}], {"a": 1}]
    answers: list[httpx.Response] = [
        user.post(path, json={"name": name, "input_data": {**SENT[name], "input_files": files}})
        for files in wrong
    ]

    assert [answer.status_code for answer in answers] == [400] * len(answers)
    for answer in answers:
        (message, *_) = answer.json()["input_data"]
        assert message.startswith("input_files")
        assert answer.json()["error"].startswith("input_data: input_files")


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("Stacking", {"stacking_mode": "other"}),
        ("Subtraction", {"subtraction_file": []}),
        ("Subtraction", {"subtraction_file": FILES[:2]}),
        ("Color Image", {"color_channels": []}),
        ("Color Image", {"color_channels": [FILES[0]]}),
        ("Color Image", {"color_channels": [{**FILES[0], **COLOUR}] * 7}),
        ("Color Image", {"color_channels": [{**FILES[0], "color": {"r": 256, "g": 0, "b": 0}}]}),
        ("Color Image", {"color_channels": [{**FILES[0], **COLOUR, "zmin": 2, "zmax": 1}]}),
        ("Light Curve", {"source": {"ra": 360, "dec": 0}}),
        ("Light Curve", {"source": {"ra": 0, "dec": 90.1}}),
        ("Light Curve", {"source": "M 1"}),
        ("Aperture Photometry", {"target_positions": []}),
        ("Aperture Photometry", {"aperture_radius": 20}),
        ("Aperture Photometry", {"aperture_radius": "wide"}),
        ("Aperture Photometry", {"min_comparisons": 11}),
        ("Moving Target Aperture Photometry", {"target_positions": [PLACE]}),
        ("Moving Target Aperture Photometry", {"track_search_radius": 0}),
        ("HR Diagram", {"blue_filter_files": []}),
        ("HR Diagram", {"red_filter_files": FILES[:2]}),
        ("HR Diagram", {"search_radius_arcmin": -1}),
    ],
)
def test_values_out_of_their_range_are_told(lab: RunningLab, name: str, wrong: dict[str, Any]) -> None:
    """Row: bounds of inputs; Row: fault 10, target_positions are told with their type."""
    user = lab.user()
    session = user.post("/api/datasessions/", json={"name": "x"}).json()["id"]

    answer = user.post(
        f"/api/datasessions/{session}/operations/",
        json={"name": name, "input_data": {**SENT[name], **wrong}},
    )

    assert answer.status_code == 400
    assert answer.json()["input_data"]
    assert user.get(f"/api/datasessions/{session}/operations/").json()["count"] == 0
