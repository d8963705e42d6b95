"""Augmentation as Keras layers: the same meaning as the recipe's words, and as our own views."""

import keras
import numpy as np
import pytest
from scipy import stats

from unfreeze.config import Augmentation
from unfreeze.models.augmentation import augmentation_layers

SIZE, DRAWS = 33, 600
FOOD_VISION = Augmentation(flip="horizontal", rotation=0.2, zoom=0.2, height=0.2, width=0.2)


@pytest.fixture(scope="module")
def coordinates() -> np.ndarray:
    """Photos of their own coordinates: bilinear sampling is exact on them, so a layer shows where it looked."""
    y, x = np.mgrid[:SIZE, :SIZE].astype("float32")
    return np.repeat(np.dstack([x, y])[None], DRAWS, axis=0)


def drawn(layer: keras.Layer, coordinates: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Give the step in the photo, (x, y), for one to the right and for one down at the middle of each view."""
    views = keras.ops.convert_to_numpy(layer(coordinates, training=True))
    middle = SIZE // 2
    right = (views[:, middle, middle + 2] - views[:, middle, middle - 2]) / 4
    down = (views[:, middle + 2, middle] - views[:, middle - 2, middle]) / 4
    return right, down


def layer_names(augment: Augmentation) -> list[str]:
    return [layer.name for layer in augmentation_layers(augment, 0).layers]


def assert_uniform(values: np.ndarray, low: float, high: float) -> None:
    assert low - 1e-4 <= values.min() <= values.max() <= high + 1e-4
    assert stats.kstest(values, stats.uniform(low, high - low).cdf).pvalue > 0.01


def test_what_does_not_change_has_no_layer():
    assert layer_names(FOOD_VISION) == ["flip_horizontal", "rotation", "zoom", "height_and_width"]
    assert layer_names(Augmentation(zoom=0.1)) == ["zoom"]
    assert layer_names(Augmentation(width=0.1)) == ["height_and_width"]
    assert layer_names(Augmentation(flip="vertical")) == ["flip_vertical"]
    assert layer_names(Augmentation(flip="horizontal_and_vertical")) == ["flip_horizontal", "flip_vertical"]


def test_rotation_is_a_share_of_a_full_turn_to_both_sides(coordinates):
    (layer,) = augmentation_layers(Augmentation(rotation=0.1), 0).layers
    right, down = drawn(layer, coordinates)
    assert_uniform(np.arctan2(right[:, 1], right[:, 0]), -0.2 * np.pi, 0.2 * np.pi)
    np.testing.assert_allclose(np.hypot(*right.T), 1, atol=1e-3)
    np.testing.assert_allclose(np.hypot(*down.T), 1, atol=1e-3)


def test_zoom_scales_both_sides_together(coordinates):
    (layer,) = augmentation_layers(Augmentation(zoom=0.3), 0).layers
    right, down = drawn(layer, coordinates)
    assert_uniform(right[:, 0], 0.7, 1.3)
    np.testing.assert_allclose(right[:, 0], down[:, 1], atol=1e-5)
    np.testing.assert_allclose(right[:, 1], 0, atol=1e-5)


def test_height_and_width_scale_one_side_each(coordinates):
    (layer,) = augmentation_layers(Augmentation(height=0.2, width=0.4), 0).layers
    right, down = drawn(layer, coordinates)
    assert_uniform(down[:, 1], 0.8, 1.2)
    assert_uniform(right[:, 0], 0.6, 1.4)
    (layer,) = augmentation_layers(Augmentation(width=0.4), 0).layers
    right, down = drawn(layer, coordinates)
    assert_uniform(right[:, 0], 0.6, 1.4)
    np.testing.assert_allclose(down[:, 1], 1, atol=1e-5)


def test_each_axis_is_mirrored_with_a_chance_of_one_half(coordinates):
    layers = augmentation_layers(Augmentation(flip="horizontal_and_vertical"), 0).layers
    horizontal, vertical = drawn(layers[0], coordinates)[0][:, 0], drawn(layers[1], coordinates)[1][:, 1]
    for share in (horizontal == -1, vertical == -1, (horizontal == -1) & (vertical == -1)):
        wanted = 0.25 if share.mean() < 0.375 else 0.5
        assert share.mean() == pytest.approx(wanted, abs=4 * np.sqrt(wanted * (1 - wanted) / DRAWS))
    assert set(horizontal) == set(vertical) == {-1, 1}


def test_settings_are_drawn_independently_of_each_other(coordinates):
    everything = FOOD_VISION.model_copy(update={"flip": "horizontal_and_vertical"})
    steps = [drawn(layer, coordinates) for layer in augmentation_layers(everything, 0).layers]
    draws = [
        steps[0][0][:, 0],  # mirrored left-right
        steps[1][1][:, 1],  # mirrored top-bottom
        np.arctan2(*steps[2][0].T[::-1]),  # angle
        steps[3][0][:, 0],  # zoom
        steps[4][0][:, 0],  # width
        steps[4][1][:, 1],  # height
    ]
    assert np.abs(np.corrcoef(draws) - np.eye(6)).max() < 4.5 / np.sqrt(DRAWS)


def test_beyond_its_edge_a_photo_is_mirrored():
    stripes = np.zeros((1, SIZE, SIZE, 1), "float32")
    stripes[:, :, :4] = 100  # by no other way of filling does the left edge stay bright and the rest dark
    for layer in augmentation_layers(FOOD_VISION, 0).layers[1:]:
        assert layer.fill_mode == "reflect"
    outward = keras.layers.RandomZoom((0.2, 0.2), fill_mode="reflect")
    view = keras.ops.convert_to_numpy(outward(stripes, training=True))[0, :, :, 0]
    assert view[:, :5].min() > 80
    assert view[:, 8:].max() < 1e-4


def test_the_seed_draws_the_views(coordinates):
    photos = coordinates[:4]
    views = [
        keras.ops.convert_to_numpy(augmentation_layers(FOOD_VISION, seed)(photos, training=True)) for seed in (3, 3, 4)
    ]
    np.testing.assert_array_equal(views[0], views[1])
    assert np.abs(views[0] - views[2]).max() > 1
