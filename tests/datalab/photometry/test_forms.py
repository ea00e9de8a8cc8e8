"""What clients' wizards know of the operations on stars, as the contract has it."""

import subprocess
import sys
from typing import Any

import pytest

from datalab.operations.registry import registry
from datalab.wizard import description

APERTURES = {
    "input_files": "fits",
    "aperture_radius": "float",
    "annulus_inner_radius": "float",
    "annulus_outer_radius": "float",
    "min_comparisons": "int",
    "max_comparisons": "int",
}
FORMS = {
    "Light Curve": {"source": "source", "input_files": "fits"},
    "Variable Star": {"source": "source", "input_files": "fits"},
    "Aperture Photometry": {"target_positions": "target_positions", **APERTURES},
    "Non-Sidereal Aperture Photometry": APERTURES,
    "Moving Target Aperture Photometry": {
        "target_positions": "target_positions",
        "track_search_radius": "float",
        **APERTURES,
    },
    "HR Diagram": {
        "blue_filter_files": "fits",
        "red_filter_files": "fits",
        "cluster": "source",
        "search_radius_arcmin": "float",
    },
}
DEFAULTS = {
    "aperture_radius": 7.64,
    "annulus_inner_radius": 12.73,
    "annulus_outer_radius": 19.1,
    "min_comparisons": 5,
    "max_comparisons": 10,
    "track_search_radius": 10.0,
    "search_radius_arcmin": 15.0,
}


@pytest.mark.parametrize("name", FORMS)
def test_inputs_have_the_contract_s_types_and_defaults(name: str) -> None:
    form = description(registry()[name])
    inputs: dict[str, Any] = form["inputs"]
    assert form["name"] == name
    assert form["category"] == "image"
    assert {key: field["type"] for key, field in inputs.items()} == FORMS[name]
    for key, field in inputs.items():
        assert field["name"]
        assert field["description"]
        assert field.get("default") == DEFAULTS.get(key)


def test_numbers_of_files_and_filters() -> None:
    forms = {name: description(registry()[name])["inputs"] for name in FORMS}
    for name, least in (("Light Curve", 1), ("Variable Star", 8), ("Aperture Photometry", 1)):
        files = forms[name]["input_files"]
        assert (files["minimum"], files["maximum"]) == (least, 999)
        assert files["filter_options"] == ["rp", "ip", "gp", "zs"]
    assert forms["HR Diagram"]["blue_filter_files"]["filter_options"] == ["gp"]
    assert forms["HR Diagram"]["red_filter_files"]["filter_options"] == ["rp", "ip", "zs"]
    assert forms["Aperture Photometry"]["target_positions"]["minimum"] == 1
    assert forms["Moving Target Aperture Photometry"]["target_positions"]["minimum"] == 2


def test_forms_are_known_without_what_computes() -> None:
    """An API process must not spend seconds and memory on astropy and numba."""
    modules = [
        "light_curve",
        "variable_star",
        "aperture_photometry",
        "non_sidereal_aperture_photometry",
        "moving_target_aperture_photometry",
        "hr_diagram",
    ]
    imports = "; ".join(f"import datalab.operations.{module}" for module in modules)
    heavy = ["numpy", "astropy", "numba", "photutils", "cv2", "scipy"]
    code = f"import sys; {imports}; print([name for name in {heavy} if name in sys.modules])"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == "[]"
