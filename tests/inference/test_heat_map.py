"""Grad-CAM against its definition, and what is laid over a photo."""

import numpy as np
import pytest

from unfreeze.inference.heat_map import class_activation, lay_over


def test_the_closed_form_is_grad_cam():
    """Gradients of the class's score taken by differences, averaged over places, weigh the channels."""
    rng = np.random.default_rng(0)
    features, kernel = rng.uniform(0, 6, (4, 5, 7)), rng.normal(size=(7, 3))

    def score(features):
        return (features.mean((0, 1)) @ kernel)[2]

    gradient = np.zeros_like(features)
    for place in np.ndindex(features.shape):
        step = np.zeros_like(features)
        step[place] = 1e-4
        gradient[place] = (score(features + step) - score(features - step)) / 2e-4
    expected = np.maximum((features * gradient.mean((0, 1))).sum(-1), 0)
    assert expected.max() > 0
    assert (expected == 0).any()  # so that leaving the negative part in would show
    np.testing.assert_allclose(class_activation(features, kernel[:, 2]), expected / expected.max(), atol=1e-5)


def test_nothing_speaks_for_the_class():
    assert not class_activation(np.ones((2, 2, 3)), -np.ones(3)).any()


@pytest.mark.parametrize("shape", [(40, 40), (40, 90), (90, 40), (41, 90)])
@pytest.mark.parametrize("resize", ["squash", "crop", "pad"])
def test_a_cold_map_changes_nothing_and_a_hot_one_what_the_network_saw(shape, resize):
    photo = np.full((*shape, 3), 100, np.uint8)
    assert (lay_over(photo, np.zeros((7, 7)), resize) == photo).all()
    changed = (lay_over(photo, np.ones((7, 7)), resize) != photo).any(-1)
    side = min(shape)
    assert changed.sum() == (side * side if resize == "crop" else shape[0] * shape[1])


@pytest.mark.parametrize(("resize", "left", "right"), [("squash", 0, 20), ("crop", 40, 50)])
def test_the_map_lies_where_the_network_saw_it(resize, left, right):
    """The map's top left corner, on a photo twice as wide as it is high."""
    changed = _changed_by_the_corner(resize)
    row, column = np.unravel_index(changed.argmax(), changed.shape)
    assert row < 10
    assert left <= column < right
    assert changed[:, right + 20 :].max() == 0


def test_what_the_network_saw_beside_the_photo_is_left_out():
    assert _changed_by_the_corner("pad").max() == 0  # black above the photo


def _changed_by_the_corner(resize):
    photo, heat = np.full((80, 160, 3), 100, np.uint8), np.zeros((8, 8), np.float32)
    heat[0, 0] = 1
    return np.abs(lay_over(photo, heat, resize).astype(int) - 100).sum(-1)
