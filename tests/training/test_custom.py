"""A caller's own callbacks, optimizer, loss and head."""

import json

import keras
import numpy as np
import pytest
import yaml
from tests.conftest import rows

import unfreeze
from unfreeze.errors import RecipeError, RunError
from unfreeze.evaluation.predictions import read_predictions
from unfreeze.training.custom import Custom

RECIPE = """
name: custom
data: {image_size: 64, batch_size: 8}
experiments:
  head: {fraction: 0.3, epochs: 3}
  last_10: {from: head, fraction: 0.3, unfreeze: 10, epochs: 1}
"""


def two_layers(features):
    x = keras.layers.Dense(16, activation="relu")(features)
    x = keras.layers.Dropout(0.2)(x)
    return keras.layers.Dense(2, activation="softmax")(x)


class Rates(keras.callbacks.Callback):
    """Notes the optimizer and its learning rate in each epoch."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def on_epoch_end(self, epoch, logs=None):
        optimizer = self.model.optimizer
        self.seen.append((type(optimizer).__name__, round(float(optimizer.learning_rate), 6)))


@pytest.fixture(scope="module")
def ran(solar_cells, tmp_path_factory):
    folder = tmp_path_factory.mktemp("custom")
    (folder / "custom.yaml").write_text(RECIPE)
    rates = Rates()
    own = {
        "callbacks": [rates, keras.callbacks.EarlyStopping("loss", mode="max", patience=1)],
        "optimizer": keras.optimizers.SGD(0.5, momentum=0.9),
        "loss": keras.losses.CategoricalCrossentropy(label_smoothing=0.1),
        "head": two_layers,
    }
    unfreeze.run(folder / "custom.yaml", data=solar_cells, out=folder / "out", **own)
    return folder, rates, own


def test_optimizer_and_callbacks_are_used_in_every_phase(ran):
    folder, rates, _ = ran
    assert rates.seen == [("SGD", 1e-3), ("SGD", 1e-3), ("SGD", 1e-4)]  # stopped early: the loss was to rise, and fell
    assert len(rows(folder / "out" / "experiments" / "head" / "seed-0" / "history.csv")) == 2


def test_the_head_is_in_the_saved_model_and_handed_on(ran):
    folder, _, _ = ran
    for name in ("head", "last_10"):
        model = keras.saving.load_model(folder / "out" / "experiments" / name / "seed-0" / "model.keras")
        assert [layer.name for layer in model.get_layer("head").layers][1:] == ["dense", "dropout", "dense_1"]
    lineage = json.loads((folder / "out" / "experiments" / "last_10" / "seed-0" / "lineage.json").read_text())
    assert lineage["phases"][0]["frozen_sha256_before"] == lineage["phases"][0]["frozen_sha256_after"]
    config = yaml.safe_load((folder / "out" / "experiments" / "last_10" / "seed-0" / "config.yaml").read_text())
    assert set(config["custom"]) == {"callbacks", "optimizer", "loss", "head"}


def test_predictions_are_those_of_the_saved_model(ran, solar_cells):
    folder, _, _ = ran
    run = folder / "out" / "experiments" / "last_10" / "seed-0"
    predictions = read_predictions(run / "predictions.csv")
    found = unfreeze.load(run).predict([solar_cells / path for path in predictions.paths])
    for prediction, row in zip(found, predictions.probabilities, strict=True):
        assert prediction.top[0][1] == pytest.approx(row.max(), abs=1e-4)


def test_another_head_is_another_run(ran, solar_cells):
    folder, _, own = ran
    call = {"data": solar_cells, "out": folder / "out"}
    unfreeze.run(folder / "custom.yaml", **call, **own)  # nothing left to do
    with pytest.raises(RunError, match=r"custom\.head"):
        unfreeze.run(folder / "custom.yaml", **call, **{**own, "head": lambda features: two_layers(features)})


@pytest.mark.slow
def test_a_run_with_another_head_can_be_started_from(ran, solar_cells):
    folder, _, _ = ran
    parent = folder / "out" / "experiments" / "last_10" / "seed-0"
    recipe = f"{{name: child, data: {{image_size: 64}}, experiments: {{child: {{from: '{parent}', epochs: 1}}}}}}"
    (folder / "child.yaml").write_text(recipe)
    results = unfreeze.run(folder / "child.yaml", data=solar_cells, out=folder / "child")
    child = keras.saving.load_model(results.out / results.experiments[0].path / "model.keras")
    whole = keras.saving.load_model(parent / "model.keras")
    name = "efficientnet_lite0"
    for ours, expected in zip(child.get_layer(name).get_weights(), whole.get_layer(name).get_weights(), strict=True):
        np.testing.assert_array_equal(ours, expected)


def test_a_head_that_does_not_fit_is_refused(solar_cells, tmp_path):
    (tmp_path / "custom.yaml").write_text(RECIPE)
    with pytest.raises(RecipeError, match=r"head gives \(None, 3\), but the photos have 2 classes"):
        unfreeze.run(tmp_path / "custom.yaml", data=solar_cells, out=tmp_path, head=keras.layers.Dense(3))


@pytest.mark.parametrize(
    ("own", "said"),
    [
        ({"callbacks": [print]}, "no keras.callbacks.Callback"),
        ({"optimizer": "sgd"}, "Give a Keras optimizer"),
        ({"optimizer": keras.optimizers.SGD}, "Give a Keras optimizer"),
        ({"head": "dense"}, "Give a function"),
    ],
)
def test_what_can_not_be_used_is_refused(own, said):
    with pytest.raises(RecipeError, match=said):
        Custom(**own)


def test_a_schedule_is_kept_and_a_function_gets_the_rate():
    schedule = keras.optimizers.schedules.CosineDecay(0.1, 10)
    kept = Custom(optimizer=keras.optimizers.SGD(schedule)).optimizer_at(1e-3)
    assert float(kept.learning_rate) == pytest.approx(0.1)
    made = Custom(optimizer=lambda rate: keras.optimizers.AdamW(rate / 2)).optimizer_at(1e-3)
    assert float(made.learning_rate) == pytest.approx(5e-4)


def test_labels_follow_the_loss():
    numbers = np.array([1, 0])
    np.testing.assert_array_equal(Custom().labels(numbers, 2), numbers)
    for loss in ("categorical_crossentropy", keras.losses.CategoricalFocalCrossentropy()):
        np.testing.assert_array_equal(Custom(loss=loss).labels(numbers, 2), [[0, 1], [1, 0]])
    np.testing.assert_array_equal(Custom(loss=keras.losses.SparseCategoricalCrossentropy()).labels(numbers, 2), numbers)
