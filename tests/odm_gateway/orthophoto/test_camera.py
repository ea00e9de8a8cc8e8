from __future__ import annotations

import cv2
import numpy as np
import pytest

from odm_gateway.orthophoto.camera import intersect, inverse_symmetric, project, rays, rotation_exp
from odm_gateway.orthophoto.models import Lens

RNG = np.random.default_rng(0)


@pytest.mark.parametrize("lens", [Lens(0.75, 0.0, 0.0), Lens(0.7, -0.05, 0.02), Lens(0.55, 0.03, -0.01)])
def test_given_a_lens_when_projected_and_back_then_rays_are_the_same(lens: Lens) -> None:
    image = RNG.uniform(-0.5, 0.5, (200, 2)) * [1, 0.75]

    assert np.abs(project(lens, rays(lens, image)) - image).max() < 1e-6


def test_given_rotation_vectors_when_expanded_then_they_match_opencv() -> None:
    vectors = np.vstack([RNG.normal(size=(20, 3)), np.zeros((1, 3)), [[1e-9, 0, 0]]])

    expected = np.array([cv2.Rodrigues(vector)[0] for vector in vectors])

    assert np.abs(rotation_exp(vectors) - expected).max() < 1e-12


def test_given_symmetric_matrices_when_inverted_then_products_are_one() -> None:
    roots = RNG.normal(size=(50, 3, 3))
    matrices = roots @ np.swapaxes(roots, 1, 2) + 0.1 * np.eye(3)

    assert np.abs(inverse_symmetric(matrices) @ matrices - np.eye(3)).max() < 1e-9


def test_given_rays_to_known_points_when_intersected_then_points_and_angles_are_right() -> None:
    points = np.array([[0.0, 0.0, 0.0], [5.0, 2.0, 1.0]])
    positions = np.array([[-10.0, 0, 10], [10.0, 0, 10], [0.0, 2, 50], [5.0, 2, 50]])
    directions = np.repeat(points, 2, axis=0) - positions
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)

    found, angles = intersect(positions, directions, np.array([0, 2]))

    assert np.abs(found - points).max() < 1e-6
    assert np.degrees(angles) == pytest.approx([90.0, np.degrees(np.arctan(5 / 49))], abs=1e-6)
