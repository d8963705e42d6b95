"""Keys that are off by default: what they change of a run, and that nothing changes without them."""

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from tests.conftest import rows

import unfreeze
from unfreeze.config import Experiment, ModelExtras, Regimen
from unfreeze.data.inputs import TurnedPixels
from unfreeze.data.turned import turned
from unfreeze.errors import RecipeError
from unfreeze.evaluation.calibration import calibrate
from unfreeze.evaluation.predictions import read_predictions
from unfreeze.inference.feature_map_network import feature_map_network
from unfreeze.seals import read_sealed
from unfreeze.series.folders import RunFolder, SeriesFolder, write_yaml
from unfreeze.series.lineage import read_settings, settings
from unfreeze.series.recipe import check_recipe, read_recipe, resolve, write_recipe

DATA: dict[str, Any] = dict.fromkeys(("name", "classes", "train", "val", "test", "sha256", "split_seed"), "x")

ON: dict[str, Any] = {
    "layer_decay": 0.7, "warmup": 0.5, "schedule": "cosine", "weight_decay": 0.1, "label_smoothing": 0.1, "mixup": 0.4,
    "ema": 0.5, "class_weights": "balanced", "dropout": 0.2, "patience": 2, "test_views": "dihedral",
}  # fmt: skip


def of(experiment: dict[str, Any], **top: Any) -> Experiment:
    recipe = check_recipe({"name": "keys", **top, "experiments": {"mine": experiment}}, "recipe")
    [resolved] = resolve(recipe)
    assert isinstance(resolved, Experiment)
    return resolved


def test_every_key_is_here():
    assert set(ON) == {*Regimen.model_fields, *ModelExtras.model_fields}


def test_without_them_a_run_is_described_as_before_they_were_there():
    """Or finished runs would be of other settings."""
    content = settings(of({"phases": [{}, {"unfreeze": 3}]}), 0, DATA, {})
    assert set(content) == {
        "name", "start_from", "backbone", "image_size", "resize", "batch_size", "fraction", "augment", "phases",
        "view_seed", "engine", "precision", "kind", "seed", "data",
    }  # fmt: skip
    assert [set(phase) for phase in content["phases"]] == 2 * [{"unfreeze", "epochs", "learning_rate", "solver"}]
    off = {key: field.default for kind in (Regimen, ModelExtras) for key, field in kind.model_fields.items()}
    assert settings(of({"phases": [{}, {"unfreeze": 3}], **off}), 0, DATA, {}) == content


def test_they_are_written_down_and_read_back(tmp_path):
    raw = {"name": "keys", **ON, "experiments": {"mine": {}, "other": {"phases": [{"mixup": 0.0}, {"ema": 0.9}]}}}
    recipe = check_recipe(raw, "recipe")
    mine, other = resolve(recipe)
    assert isinstance(mine, Experiment)
    assert isinstance(other, Experiment)
    assert mine.extras == ON
    assert [(phase.mixup, phase.ema, phase.layer_decay) for phase in other.phases] == [(0.0, 0.5, 0.7), (0.4, 0.9, 0.7)]
    write_recipe(tmp_path / "recipe.yaml", recipe, [mine, other])
    assert resolve(read_recipe(tmp_path / "recipe.yaml")) == [mine, other]
    run = RunFolder(tmp_path)
    write_yaml(run.config, settings(other, 0, DATA, {}))
    assert read_settings(run) == other


@pytest.mark.parametrize(
    ("experiment", "message"),
    [
        ({"warmup": 3, "epochs": 2}, "`warmup: 3` is longer than the phase, which has 2 epochs"),
        ({"solver": "lbfgs", "mixup": 0.2}, "`mixup: 0.2` is about training steps, and `solver: lbfgs` makes none"),
        ({"solver": "lbfgs", "dropout": 0.2}, "`dropout: 0.2` is about training steps"),
        ({"phases": [{"solver": "lbfgs", "ema": 0.9}, {}]}, "`solver: lbfgs` fits the head alone.*`ema: 0.9`"),
        ({"phases": [{"dropout": 0.2}]}, "experiments.mine.phases.0.dropout: unknown key"),
        ({"layer_decay": 1.5}, "layer_decay: expected less than or equal to 1, got 1.5"),
        ({"test_views": "all"}, "test_views: expected 'horizontal', 'flips' or 'dihedral'"),
        ({"kind": "as_is", "ema": 0.5}, "experiments.mine.ema: means nothing for `kind: as_is`"),
    ],
)
def test_what_has_no_effect_or_no_meaning_is_said(experiment, message):
    with pytest.raises(RecipeError, match=message):
        of(experiment)


def test_the_head_by_lbfgs_goes_before_steps_with_a_regimen():
    experiment = of({**ON, "phases": [{"solver": "lbfgs"}, {"unfreeze": 3}]})
    assert [phase.mixup for phase in experiment.phases] == [0.0, 0.4]


@pytest.mark.parametrize("key", ON)
def test_a_script_that_would_do_something_else_is_not_written(key, solar_cells, tmp_path):
    recipe = check_recipe({"name": "keys", "experiments": {"mine": {key: ON[key]}}}, "recipe")
    with pytest.raises(RecipeError, match=f"a script can't be written for `{key}`"):
        unfreeze.eject(recipe, solar_cells, tmp_path / "script.py")


def test_patience_needs_validation_photos(solar_cells, tmp_path):
    raw = {"name": "keys", "data": {"image_size": 32, "validation": 0}, "experiments": {"mine": {"patience": 2}}}
    with pytest.raises(RecipeError, match="`patience: 2` goes by the validation loss, and there are no validation"):
        unfreeze.run(check_recipe(raw, "recipe"), solar_cells, tmp_path)


def test_patience_ends_a_phase(solar_cells, tmp_path):
    """The rate is too high for long."""
    keys = {"patience": 2, "epochs": 12, "learning_rate": 0.3}
    raw = {"name": "keys", "data": {"image_size": 32}, "experiments": {"mine": keys}}
    unfreeze.run(check_recipe(raw, "recipe"), solar_cells, tmp_path)
    losses = [float(row["val_loss"]) for row in rows(SeriesFolder(tmp_path).run("mine", 0).history)]
    assert len(losses) == int(np.argmin(losses)) + 1 + 2 < 12


@pytest.fixture(scope="module")
def run(solar_cells: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run with every key, in two phases, at another size than the network's own."""
    raw = {
        "name": "keys",
        "data": {"image_size": 64, "batch_size": 8},
        "experiments": {
            "mine": {**ON, "phases": [{"epochs": 4, "learning_rate": 0.003}, {"unfreeze": 10, "epochs": 2}]}
        },
    }
    out = tmp_path_factory.mktemp("keys")
    unfreeze.run(check_recipe(raw, "recipe"), solar_cells, out)
    return RunFolder(out / "experiments" / "mine" / "seed-0")


def test_the_saved_model_has_an_ordinary_dropout_layer(run):
    model: Any = keras.saving.load_model(run.model, compile=False)
    dropout = model.get_layer("dropout")
    assert type(dropout) is keras.layers.Dropout
    assert dropout.rate == 0.2
    assert [layer.name for layer in model.layers][-3:] == ["pooling", "dropout", "head"]
    seed = keras.ops.convert_to_numpy(dropout.seed_generator.state)
    np.testing.assert_array_equal(seed, [0, 0])


def test_all_that_uses_the_model_averages_the_same_views(run, solar_cells, tmp_path):
    """The dihedral views are made here by NumPy's own turns, and predicted by the saved model."""
    saved = read_predictions(run.predictions)
    predictor = unfreeze.load(run.path)
    photos = [(solar_cells / path).read_bytes() for path in saved.paths]
    pixels = np.stack([predictor.pixels(photo) for photo in photos])
    turns = [np.rot90(view, k, axes=(1, 2)) for view in (pixels, pixels[:, :, ::-1]) for k in range(4)]
    model: Any = keras.saving.load_model(run.model, compile=False)
    alone = [model.predict(np.ascontiguousarray(view), verbose=0) for view in turns]
    temperature = read_sealed(run.metrics)["temperature"]
    expected = calibrate(np.mean(alone, axis=0), temperature)
    assert np.abs(np.std(alone, axis=0)).max() > 0.01
    np.testing.assert_allclose(saved.probabilities, expected, atol=1e-4)
    np.testing.assert_allclose(predictor.probabilities(pixels), expected, atol=1e-4)

    paths = [solar_cells / path for path in saved.paths]
    for predictions in (predictor.predict(paths, 2), predictor.embeddings(paths, 2).predictions):
        rows_given = [[dict(one.top)[name] for name in predictor.classes] for one in predictions]
        np.testing.assert_allclose(rows_given, expected, atol=1e-4)
    probabilities, features = feature_map_network(predictor).predict(pixels[0])
    np.testing.assert_allclose(probabilities, expected[0], atol=1e-4)
    upright = keras.Model(model.input, model.get_layer("pooling").input).predict(pixels[:1], verbose=0)[0]
    np.testing.assert_allclose(features, upright, atol=1e-2)

    exported = tmp_path / "model.keras"
    unfreeze.export(run.path, "keras", exported)
    by_itself: Any = keras.saving.load_model(exported, compile=False)
    np.testing.assert_allclose(by_itself.predict(pixels, verbose=0), expected, atol=1e-4)


def test_views_are_all_ways_to_lay_down_a_square():
    square = np.arange(9).reshape(1, 3, 3, 1)
    views = {turned(square, view).tobytes() for view in range(8)}
    assert views == {
        np.rot90(side, k, axes=(1, 2)).tobytes() for side in (square, square[:, :, ::-1]) for k in range(4)
    }
    assert (turned(square, 0) == square).all()
    assert (turned(square, 1) == square[:, :, ::-1]).all()
    assert (turned(square, 2) == square[:, ::-1]).all()
    for view in range(8):
        mine = keras.ops.convert_to_numpy(turned(keras.ops.convert_to_tensor(square), view, keras.ops))
        np.testing.assert_array_equal(mine, turned(square, view))


def test_the_photo_as_it_is_has_its_usual_name_among_the_views(tmp_path):
    """So that what was computed for training serves test views, too."""

    class Store:
        folder = tmp_path

        def locate(self, hashes):
            return np.arange(len(hashes))

    class Photo:
        sha256 = "aa"

    store: Any = Store()
    pixels = TurnedPixels(store, [Photo()], "flips")  # pyright: ignore[reportArgumentType]
    assert [pixels.keys(view) for view in range(4)] == [["aa"], ["aa-turned-1"], ["aa-turned-2"], ["aa-turned-3"]]
    assert list(pixels.seen) == [0, 1, 2, 3]
