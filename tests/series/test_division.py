"""How the experiments of a series share frozen layers, and that sharing changes no result."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.conftest import rows
from tests.tiny import SIZE, tiny_backbone

import unfreeze
from unfreeze.evaluation.predictions import read_predictions
from unfreeze.features.frozen import FrozenLayers
from unfreeze.models.classifier import backbone_of, build_classifier
from unfreeze.series.division import Division
from unfreeze.series.recipe import check_recipe, resolve

PIXELS: Any = object()


def series_of(**experiments):
    """Resolve a recipe of these experiments, with defaults that tests build on."""
    top = {"name": "small", "augment": {"flip": "horizontal", "zoom": 0.1}, "fraction": 0.5, "epochs": 3}
    return resolve(check_recipe({**top, "experiments": experiments}, "the test"))


class NotedLayers(FrozenLayers):
    """Frozen layers that only note what they are asked for."""

    def rows(self, classifier, unfrozen, stops, pixels, precision):
        self.asked = (list(unfrozen), [(list(stop.unfrozen), stop.keep) for stop in stops], precision)
        return pixels


def asked(series, training=True):
    """Give what frozen layers are asked for on behalf of the first experiment."""
    classifier = build_classifier(tiny_backbone(), 2)
    layers = NotedLayers(Path())
    names = [layer.name for layer in backbone_of(classifier).layers]
    assert Division(series[0], series, layers).rows(classifier, names[-2:], PIXELS, training) is PIXELS
    unfrozen, stops, precision = layers.asked
    assert unfrozen == names[-2:]
    assert all(stop == names[len(names) - len(stop) :] for stop, _ in stops)
    return [(len(stop), keep) for stop, keep in stops], precision


def test_every_phase_of_every_experiment_is_a_stop():
    series = series_of(
        mine={"unfreeze": 2},
        phased={"phases": [{"unfreeze": 0, "epochs": 1}, {"unfreeze": 3, "epochs": 2}]},
        other={"unfreeze": "conv1"},
    )
    stops, precision = asked(series)
    assert stops == [(2, True), (0, True), (3, True), (6, True)]
    assert precision == "float16"


@pytest.mark.parametrize(
    ("other", "covers"),
    [
        ({}, True),
        ({"epochs": 4}, True),
        ({"epochs": 2}, False),  # fewer views
        ({"epochs": 9, "augment": {"flip": "horizontal", "zoom": 0.1, "views": 2}}, False),
        ({"augment": {"flip": "horizontal", "zoom": 0.1, "views": 3}}, False),  # whose first is the photo as it is,
        ({"fraction": 0.6}, True),
        ({"fraction": 0.4}, False),
        ({"augment": {"flip": "horizontal", "zoom": 0.2}}, False),
        ({"augment": False}, False),
        ({"view_seed": 1}, False),
        ({"precision": "float32"}, False),
        ({"learning_rate": 0.1, "seeds": [4], "data": {"batch_size": 3}}, True),
    ],
)
def test_rows_are_kept_for_those_who_train_on_all_of_them(other, covers):
    series = series_of(mine={}, other={"unfreeze": 3, **other})
    assert asked(series) == ([(0, True), (3, covers)], "float16")
    assert asked(series, training=False) == ([(0, True), (3, True)], "float32")


@pytest.mark.parametrize(
    ("other", "covers"),
    [
        ({}, False),  # a fresh view each epoch
        ({"augment": {"flip": "horizontal", "views": 2}}, True),
        ({"augment": {"flip": "horizontal", "views": 2}, "fraction": 0.4}, False),
        ({"augment": False}, True),
    ],
)
def test_rows_of_photos_as_they_are_are_kept_for_those_whose_first_view_they_are(other, covers):
    series = series_of(mine={"augment": False}, other={"unfreeze": 3, **other})
    assert asked(series) == ([(0, True), (3, covers)], "float16")


def test_without_augmentation_there_is_one_view_however_many_epochs():
    series = series_of(mine={"augment": False}, other={"augment": False, "epochs": 1, "view_seed": 5, "unfreeze": 3})
    assert asked(series)[0] == [(0, True), (3, True)]


@pytest.mark.parametrize(
    "other",
    [
        {"backbone": "efficientnetb0"},
        {"data": {"image_size": 64}},
        {"engine": "reference"},
    ],
)
def test_another_network_is_no_stop(other):
    assert asked(series_of(mine={}, other={"unfreeze": 3, **other}))[0] == [(0, True)]


def test_precision_is_the_training_photos():
    series = series_of(mine={"precision": "float32"})
    assert asked(series)[1] == asked(series, training=False)[1] == "float32"


def test_the_reference_trains_the_whole_network_on_pixels(tmp_path):
    series = series_of(mine={"engine": "reference"})
    classifier = build_classifier(tiny_backbone(), 2, augment=series[0].augment)
    division = Division(series[0], series, FrozenLayers(tmp_path))
    for training in (True, False):
        assert division.rows(classifier, [], PIXELS, training) is PIXELS
    trained = division.trained(classifier, [])
    assert trained.input_shape == (None, SIZE, SIZE, 3)
    assert {weight.path for weight in trained.weights} == {
        weight.path for weight in classifier.weights if "seed_generator" not in weight.path
    }


EVERY_KEY = """
        {layer_decay: 0.7, warmup: 0.5, schedule: cosine, weight_decay: 0.1, label_smoothing: 0.1, mixup: 0.4, ema: 0.5,
         class_weights: balanced, dropout: 0.2, patience: 5, test_views: flips, learning_rate: 1e-4}
"""


@pytest.mark.slow
@pytest.mark.parametrize("keys", ["{learning_rate: 2e-5}", EVERY_KEY], ids=["plain", "every key"])
def test_cached_and_reference_are_the_same_experiment(solar_cells, tmp_path, keys):
    """Adam makes steps of the learning rate's size of rounding in tiny gradients, so that is small here."""
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        """
        name: same
        data: {image_size: 64, batch_size: 8}
        augment: {flip: horizontal, rotation: 0.1, zoom: 0.2, height: 0.1, width: 0.1}
        precision: float32
        unfreeze: 10
        epochs: 2
        experiments:
          cached: &keys KEYS
          reference: {<<: *keys, engine: reference}
        """.replace("KEYS", keys.strip()),
        encoding="utf-8",
    )
    unfreeze.run(recipe, data=solar_cells, out=tmp_path / "out")
    cached, reference = (tmp_path / "out" / "experiments" / name / "seed-0" for name in ("cached", "reference"))
    histories = [rows(run / "history.csv") for run in (cached, reference)]
    assert len(histories[0]) == 2
    assert float(histories[0][0]["loss"]) > 1.2 * float(histories[0][1]["loss"])
    for mine, theirs in zip(*histories, strict=True):
        for column in theirs:
            assert float(mine[column]) == pytest.approx(float(theirs[column]), rel=1e-3), column
    mine, theirs = (read_predictions(run / "predictions.csv") for run in (cached, reference))
    assert mine.paths == theirs.paths
    np.testing.assert_allclose(mine.probabilities, theirs.probabilities, atol=1e-3)
    assert np.ptp(theirs.probabilities[:, 0]) > 0.2
