"""A whole series on real photos with real weights: what it leaves behind, and that it can be trusted."""

import json
import shutil

import keras
import numpy as np
import pytest
import yaml
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tests.conftest import RECIPE, rows

import unfreeze
from unfreeze.ahead import process
from unfreeze.data.catalog import pixel_store
from unfreeze.errors import RecipeError, RunError
from unfreeze.evaluation.calibration import calibrate, fit_temperature
from unfreeze.evaluation.metrics import evaluate
from unfreeze.evaluation.predictions import read_predictions
from unfreeze.models.backbones import build_backbone
from unfreeze.models.classifier import backbone_of, build_classifier
from unfreeze.models.weights import weights_sha256
from unfreeze.series.recipe import check_recipe

NAMES = [f"model_{number}" for number in range(5)]


def run_of(series, name):
    return series / "experiments" / name / "seed-0"


def results_of(series):
    return json.loads((series / "results.json").read_text())


def test_the_folder_holds_what_is_promised(series):
    for name in ("results.json", "recipe.yaml", "splits.csv", "bad_files.csv", "test_reads.jsonl"):
        assert (series / name).is_file()
    assert (series / "pictures" / "comparison.png").stat().st_size > 10_000
    for name in NAMES:
        run = run_of(series, name)
        for file in ("config.yaml", "lineage.json", "classes.json", "history.csv", "metrics.json", "model.keras"):
            assert (run / file).is_file()
        assert (run / "checkpoints" / "best.weights.h5").is_file()
        assert (run / "checkpoints" / "last" / "last.weights.h5").is_file()
        assert json.loads((run / "classes.json").read_text()) == ["defective", "functional"]
        assert not list(run.rglob("*partial*"))


def test_what_runs_ahead_changes_no_bit(series, recipe, solar_cells, cache, tmp_path, monkeypatch):
    given: list[int] = []
    give = process.Ahead.give

    def noting(self, fillings):
        give(self, fillings)
        given.append(len(fillings))
        assert self._process is not None

    monkeypatch.setattr(process, "WORTHWHILE", 1)
    monkeypatch.setattr(process.Ahead, "give", noting)
    monkeypatch.setenv("UNFREEZE_CACHE", str(tmp_path / "cache"))
    shutil.copytree(cache / "engines", tmp_path / "cache" / "engines")
    unfreeze.run(recipe, data=solar_cells, out=tmp_path / "out")
    assert given == [12]  # training and validation photos of five models, and both parts of what is checked
    for name in NAMES:
        for file in ("predictions.csv", "history.csv"):
            assert (run_of(tmp_path / "out", name) / file).read_bytes() == (run_of(series, name) / file).read_bytes()


def test_a_zip_gives_the_same_results_as_its_folder(series, recipe, solar_cells, tmp_path, monkeypatch):
    shutil.make_archive(str(tmp_path / "photos"), "zip", solar_cells)
    monkeypatch.chdir(tmp_path)
    unfreeze.run(recipe, data="photos.zip", out="out", only=["model_0"])
    assert (tmp_path / "out" / "splits.csv").read_bytes() == (series / "splits.csv").read_bytes()
    for file in ("predictions.csv", "history.csv"):
        assert (run_of(tmp_path / "out", "model_0") / file).read_bytes() == (
            run_of(series, "model_0") / file
        ).read_bytes()
    assert results_of(tmp_path / "out")["dataset"]["name"] == "photos"
    written = yaml.safe_load((tmp_path / "out" / "recipe.yaml").read_text())
    assert written["data"]["source"] == str(tmp_path / "photos.zip")  # to be found from anywhere


def test_counts_follow_from_the_fractions(series):
    content = results_of(series)
    assert content["dataset"] | {"sha256": ""} == {
        "name": "solar_cells",
        "classes": ["defective", "functional"],
        "train": 51,
        "val": 9,
        "test": 20,
        "bad": 0,
        "sha256": "",
        "validation": 0.15,
        "split_seed": 0,
        "test_is_carved": True,
    }
    entries = content["experiments"]
    assert [entry["name"] for entry in entries] == NAMES
    assert [entry["train_images"] for entry in entries] == [18, 6, 18, 18, 51]  # floor(0.3 * 30) a class, and so on
    assert [entry["views"] for entry in entries] == [1, 2, 2, 2, 1]
    assert [entry["kind"] for entry in entries] == ["feature_extraction"] * 3 + ["fine_tuning"] * 2
    assert [entry["start_from"] for entry in entries] == [None, None, None, "model_2", "model_2"]
    assert [entry["trainable_parameters"] for entry in entries][:3] == [1280 * 2 + 2] * 3
    assert all(entry["test"]["n"] == 20 and entry["val"] for entry in entries)


@pytest.mark.parametrize("name", NAMES)
def test_history_has_a_row_an_epoch(series, name):
    history = rows(run_of(series, name) / "history.csv")
    assert list(history[0]) == ["epoch", "loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"]
    assert [row["epoch"] for row in history] == ["1", "2"]
    assert {row["learning_rate"] for row in history} == {"0.0001" if name in ("model_3", "model_4") else "0.001"}


@pytest.mark.parametrize("name", ["model_0", "model_3"])
def test_a_loaded_model_gives_the_same_predictions(series, cache, name):
    run = run_of(series, name)
    predictions = read_predictions(run / "predictions.csv")
    test = [row for row in rows(series / "splits.csv") if row["split"] == "test"]
    assert list(predictions.paths) == [row["path"] for row in test]

    pixels = pixel_store(cache, 64, "squash").read([row["sha256"] for row in test])
    model = keras.saving.load_model(run / "model.keras")
    probabilities = model.predict(pixels, batch_size=8, verbose=0)
    figures = json.loads((run / "metrics.json").read_text())
    calibrated = calibrate(probabilities, figures["temperature"])
    np.testing.assert_allclose(calibrated, predictions.probabilities, atol=1e-5)  # another engine rounds otherwise

    metrics, test = evaluate(predictions.labels, predictions.probabilities), figures["test"]
    for key in ("n", "accuracy", "ci95", "nll", "ece", "brier", "macro_f1", "confusion", "per_class"):
        assert metrics.to_json(predictions.classes)[key] == test[key]
    assert metrics.accuracy == np.mean(predictions.predicted == predictions.labels)
    assert test["nll_uncalibrated"] == pytest.approx(evaluate(predictions.labels, probabilities).nll, rel=1e-4)


@pytest.mark.parametrize("name", ["model_0", "model_3"])
def test_the_temperature_is_that_of_the_validation_photos(series, cache, name):
    run = run_of(series, name)
    val = [row for row in rows(series / "splits.csv") if row["split"] == "val"]
    pixels = pixel_store(cache, 64, "squash").read([row["sha256"] for row in val])
    probabilities = keras.saving.load_model(run / "model.keras").predict(pixels, batch_size=8, verbose=0)
    labels = np.array([["defective", "functional"].index(row["label"]) for row in val])
    figures = json.loads((run / "metrics.json").read_text())
    assert figures["temperature"] == pytest.approx(fit_temperature(labels, probabilities), rel=1e-3)
    assert figures["temperature"] != 1
    entry = next(entry for entry in results_of(series)["experiments"] if entry["name"] == name)
    assert entry["temperature"] == figures["temperature"]


def test_the_best_weights_are_those_of_the_model(series):
    run = run_of(series, "model_3")
    model = keras.saving.load_model(run / "model.keras")
    rebuilt = build_classifier(build_backbone("efficientnet_lite0", 64), 2)
    rebuilt.load_weights(run / "checkpoints" / "best.weights.h5")
    assert weights_sha256(rebuilt) == weights_sha256(model)


@pytest.mark.slow
def test_the_reference_engine_can_be_evaluated_again_to_the_last_bit(solar_cells, cache, tmp_path):
    recipe = check_recipe(
        {
            "name": "reference",
            "data": {"source": str(solar_cells), "image_size": 64, "batch_size": 8},
            "engine": "reference",
            "experiments": {"model": {"fraction": 0.3, "unfreeze": "block15", "epochs": 1}},
        },
        "recipe",
    )
    unfreeze.run(recipe, out=tmp_path)
    run = tmp_path / "experiments" / "model" / "seed-0"
    predictions = read_predictions(run / "predictions.csv")
    hashes = {row["path"]: row["sha256"] for row in rows(tmp_path / "splits.csv")}
    pixels = pixel_store(cache, 64, "squash").read([hashes[path] for path in predictions.paths])
    model = keras.saving.load_model(run / "model.keras")
    probabilities = model.predict(pixels, batch_size=8, verbose=0)
    temperature = json.loads((run / "metrics.json").read_text())["temperature"]
    np.testing.assert_array_equal(calibrate(probabilities, temperature), predictions.probabilities)


def test_the_best_epoch_is_kept_and_handed_on(series):
    best = min(rows(run_of(series, "model_2") / "history.csv"), key=lambda row: float(row["val_loss"]))
    entry = next(entry for entry in results_of(series)["experiments"] if entry["name"] == "model_2")
    assert entry["val"]["loss"] == pytest.approx(float(best["val_loss"]), rel=1e-4)

    for child, checkpoint in (("model_3", "best.weights.h5"), ("model_4", "last/last.weights.h5")):
        parent = build_classifier(build_backbone("efficientnet_lite0", 64, weights=None), 2)
        parent.load_weights(run_of(series, "model_2") / "checkpoints" / checkpoint)
        lineage = json.loads((run_of(series, child) / "lineage.json").read_text())
        assert lineage["parent"]["name"] == "model_2"
        assert lineage["parent"]["checkpoint"] == checkpoint.split(".")[0].split("/")[0]
        trained = keras.saving.load_model(run_of(series, child) / "model.keras")
        frozen = lineage["phases"][0]["frozen_layers"]
        mine = backbone_of(trained).layers[:frozen]
        theirs = backbone_of(parent).layers[:frozen]
        assert weights_sha256(mine) == weights_sha256(theirs)
        assert weights_sha256(backbone_of(trained)) != weights_sha256(backbone_of(parent))


def test_frozen_weights_did_not_move_and_are_imagenets(series):
    imagenet = build_backbone("efficientnet_lite0", 64)
    for name in NAMES:
        lineage = json.loads((run_of(series, name) / "lineage.json").read_text())
        phase = lineage["phases"][0]
        assert phase["frozen_sha256_before"] == phase["frozen_sha256_after"]
        assert phase["frozen_sha256_after"] == weights_sha256(imagenet.layers[: phase["frozen_layers"]])
        assert lineage["weights_sha256_before"] != lineage["weights_sha256"]
    assert [layer.name for layer in imagenet.layers[-10:]] == json.loads(
        (run_of(series, "model_3") / "lineage.json").read_text()
    )["phases"][0]["unfrozen_layers"]


def test_the_test_photos_are_read_once(series):
    reads = [json.loads(line) for line in (series / "test_reads.jsonl").read_text().splitlines()]
    assert len(reads) == 1
    assert reads[0]["photos"] == 20
    assert reads[0]["runs"] == [f"experiments/{name}/seed-0" for name in NAMES]


def test_tensorboard_shows_all_runs_and_children_go_on(series):
    for name in NAMES:
        folder = series / "tensorboard" / name / "seed-0"
        history = rows(run_of(series, name) / "history.csv")
        first = 3 if name in ("model_3", "model_4") else 1
        for part, prefix in (("train", ""), ("validation", "val_")):
            events = EventAccumulator(str(folder / part)).Reload()
            for tag, column in (("epoch_loss", "loss"), ("epoch_accuracy", "accuracy")):
                scalars = events.Scalars(tag)
                assert [scalar.step for scalar in scalars] == [first, first + 1]
                expected = [float(row[prefix + column]) for row in history]
                assert [scalar.value for scalar in scalars] == pytest.approx(expected, rel=1e-6)
        assert "_hparams_/session_start_info" in EventAccumulator(str(folder)).Reload().summary_metadata


def test_the_same_call_again_changes_nothing(series, recipe, solar_cells):
    files = [file for file in series.rglob("*") if file.is_file() and file.suffix != ".png"]
    before = {file: (file.read_bytes(), file.stat().st_mtime_ns) for file in files}
    unfreeze.run(recipe, data=solar_cells, out=series)
    for file, (content, changed) in before.items():
        assert file.read_bytes() == content
        if "experiments" in file.parts:
            assert file.stat().st_mtime_ns == changed


def test_other_settings_are_refused_with_the_difference(series, recipe, solar_cells):
    with pytest.raises(RunError) as error:
        unfreeze.run(recipe, data=solar_cells, out=series, overrides=["experiments.model_1.epochs=3"])
    assert "experiments/model_1/seed-0 holds a run with other settings" in str(error.value)
    assert "phases.0.epochs: there 2, now 3" in str(error.value)
    assert "--out" in str(error.value)
    assert "--force" in str(error.value)


def test_other_photos_are_refused(series, recipe, solar_cells, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(solar_cells, other)
    next((other / "defective").iterdir()).unlink()
    with pytest.raises(RunError, match="holds results on other photos or another split"):
        unfreeze.run(recipe, data=other, out=series)


def test_an_interrupted_series_goes_on(series, recipe, solar_cells, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(series, out)
    (out / "experiments" / "model_1" / "seed-0" / "metrics.json").unlink()
    shutil.rmtree(out / "experiments" / "model_0")
    (out / "results.json").unlink()
    results = unfreeze.run(recipe, data=solar_cells, out=out, only=["model_1"])
    assert [run.name for run in results.experiments] == ["model_1", "model_2", "model_3", "model_4"]
    again, before = (folder / "experiments" / "model_1" / "seed-0" for folder in (out, series))
    assert (again / "predictions.csv").read_bytes() == (before / "predictions.csv").read_bytes()
    assert (again / "history.csv").read_bytes() == (before / "history.csv").read_bytes()


def test_force_starts_over_and_new_experiments_are_added(series, recipe, solar_cells, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(series, out)
    results = unfreeze.run(
        recipe,
        data=solar_cells,
        out=out,
        overrides=["experiments.model_1.epochs=1", "experiments.extra={fraction: 0.1, epochs: 1}"],
        only=["model_1", "extra"],
        force=True,
    )
    epochs = {run.name: run.epochs for run in results.experiments}
    assert epochs == {"model_0": 2, "model_1": 1, "model_2": 2, "model_3": 2, "model_4": 2, "extra": 1}


def test_force_does_not_forget_what_was_seen_of_the_test_photos(solar_cells, tmp_path):
    recipe, out = tmp_path / "recipe.yaml", tmp_path / "out"
    recipe.write_text("name: a\ndata: {image_size: 32}\nepochs: 1\nexperiments: {model: {}}\n")
    for learning_rate in (0.001, 0.01):
        rate = [f"experiments.model.learning_rate={learning_rate}"]
        unfreeze.run(recipe, data=solar_cells, out=out, overrides=rate, force=True)
    assert len((out / "test_reads.jsonl").read_text().splitlines()) == 2
    assert "1 run was tested after the test figures of others were known" in (out / "report.html").read_text()
    unfreeze.run(recipe, data=solar_cells, out=out, overrides=["data.validation=0.3"], force=True)  # other splits
    assert len((out / "test_reads.jsonl").read_text().splitlines()) == 1


def test_wrong_names_are_refused(recipe, solar_cells, tmp_path):
    with pytest.raises(RecipeError, match="--only model_9: there is no such experiment; there are model_0, model_1"):
        unfreeze.run(recipe, data=solar_cells, out=tmp_path, only=["model_9"])
    with pytest.raises(RecipeError, match="No photos are named"):
        unfreeze.run(recipe, out=tmp_path)
    assert yaml.safe_load(RECIPE)["experiments"]
