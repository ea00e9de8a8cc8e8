from __future__ import annotations

import pytest

from odm_gateway.orthophoto.models import EngineError
from odm_gateway.orthophoto.options import EngineOptions, parse_options


def test_given_no_options_when_parsed_then_defaults_hold() -> None:
    options, ignored = parse_options([])

    assert options == EngineOptions()
    assert options.feature_quality == "medium"
    assert ignored == []


def test_given_options_as_text_when_parsed_then_values_have_types() -> None:
    options, _ = parse_options(
        [{"name": "orthophoto-resolution", "value": "2.5"}, {"name": "dsm", "value": "true"}]
    )

    assert options.orthophoto_resolution_cm == 2.5
    assert options.dsm is True


def test_given_an_option_of_another_stage_when_parsed_then_it_is_ignored_by_name() -> None:
    options, ignored = parse_options([{"name": "pc-quality", "value": "ultra"}])

    assert options == EngineOptions()
    assert ignored == ["pc-quality"]


def test_given_fast_orthophoto_when_parsed_then_only_its_denial_is_ignored() -> None:
    assert parse_options([{"name": "fast-orthophoto", "value": True}]) == (EngineOptions(), [])
    assert parse_options([{"name": "fast-orthophoto", "value": "false"}])[1] == ["fast-orthophoto"]


def test_given_zero_neighbors_when_parsed_then_the_engine_chooses() -> None:
    options, _ = parse_options([{"name": "matcher-neighbors", "value": 0}])

    assert options.matcher_neighbors == EngineOptions().matcher_neighbors


def test_given_an_option_twice_when_parsed_then_the_last_counts() -> None:
    options, _ = parse_options([{"name": "crop", "value": 1}, {"name": "crop", "value": 2}])

    assert options.crop_m == 2


def test_given_more_features_when_asked_then_they_replace_the_preset() -> None:
    options, _ = parse_options(
        [{"name": "feature-quality", "value": "low"}, {"name": "min-num-features", "value": 9000}]
    )

    assert options.features_per_photo == 9000
    assert options.longer_side_px < EngineOptions().longer_side_px


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("orthophoto-resolution", 0),
        ("orthophoto-resolution", "fine"),
        ("orthophoto-resolution", float("nan")),
        ("orthophoto-resolution", None),
        ("feature-quality", "best"),
        ("feature-quality", ["high"]),
        ("max-concurrency", 0),
        ("max-concurrency", 1.5),
        ("gps-accuracy", -1),
        ("dsm", "perhaps"),
    ],
)
def test_given_an_impossible_value_when_parsed_then_it_is_refused_by_name(name: str, value: object) -> None:
    with pytest.raises(EngineError, match=name) as refusal:
        parse_options([{"name": name, "value": value}])

    assert refusal.value.code == "BAD_OPTION"
