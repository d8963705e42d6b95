"""Figures of a run on other photos: against scikit-learn, and what is said of photos that are no fair test."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.stats import binomtest
from sklearn.metrics import accuracy_score, f1_score, log_loss
from tests.conftest import rows
from tests.runs import copy_run

import unfreeze
from unfreeze.errors import DataError, RunError
from unfreeze.inference.predictor import Predictor


@pytest.fixture
def run(series: Path, tmp_path: Path, predictor: Predictor, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run of one's own, whose model is loaded already."""
    monkeypatch.setattr("unfreeze.inference.evaluate.Predictor", lambda run: predictor)
    return copy_run(series, "model_3", tmp_path)


@pytest.fixture(scope="module")
def turned(solar_cells: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos that no run has seen: 13 defective and 9 functional cells, turned; 3 of a class that no model knows."""
    folder = tmp_path_factory.mktemp("turned") / "cells"
    for label, source, count in (
        ("defective", "defective", 13),
        ("functional", "functional", 9),
        ("x", "defective", 3),
    ):
        (folder / label).mkdir(parents=True)
        for file in sorted((solar_cells / source).iterdir())[:count]:
            with Image.open(file) as photo:
                photo.transpose(Image.Transpose.ROTATE_90).save(folder / label / file.name)
    (folder / "functional" / "cut.png").write_bytes(file.read_bytes()[:900])
    (folder / "notes.txt").write_text("no photo")
    return folder


def reads(run: Path) -> list[dict]:
    return [json.loads(line) for line in (run.parents[2] / "test_reads.jsonl").read_text().splitlines()]


def calibration_error(right: np.ndarray, sure: np.ndarray) -> float:
    bins = [(sure > k / 15) & (sure <= (k + 1) / 15) for k in range(15)]
    return sum(inside.mean() * abs(right[inside].mean() - sure[inside].mean()) for inside in bins if inside.any())


def test_the_figures_are_those_of_scikit_learn_on_the_models_own_predictions(run, turned, predictor):
    files = [file for label in predictor.classes for file in sorted((turned / label).glob("cell*"))]
    truth = np.array([predictor.classes.index(file.parent.name) for file in files])
    answers = [dict(prediction.top) for prediction in predictor.predict(files)]
    probabilities = np.array([[answer[name] for name in predictor.classes] for answer in answers])
    probabilities /= probabilities.sum(axis=1, keepdims=True)  # to float64's last digit, as scikit-learn wants it
    predicted = probabilities.argmax(axis=1)

    found = unfreeze.evaluate(run, turned)
    figures = found.to_json()
    right = predicted == truth
    assert figures["n"] == len(files) == 22
    assert figures["accuracy"] == accuracy_score(truth, predicted)
    interval = binomtest(int(right.sum()), 22).proportion_ci(method="wilson")
    assert figures["ci95"] == pytest.approx([interval.low, interval.high])
    assert figures["macro_f1"] == pytest.approx(f1_score(truth, predicted, average="macro"))
    assert figures["nll"] == pytest.approx(log_loss(truth, probabilities), abs=1e-5)
    assert figures["ece"] == pytest.approx(calibration_error(right, probabilities.max(axis=1)), abs=1e-5)
    assert [(each["class"], each["support"]) for each in figures["per_class"]] == [("defective", 13), ("functional", 9)]


def test_what_is_left_out_is_counted_and_said(run, turned):
    found = unfreeze.evaluate(run, turned)
    assert found.unknown == {"x": 3}
    assert found.to_json()["bad"] == [
        {"path": "functional/cut.png", "reason": "can't be decoded: image file is truncated"},
        {"path": "notes.txt", "reason": "lies beside the class folders, so it has no class"},
    ]
    assert (found.trained_on, found.unseen, found.own_test) == (0, None, 0)
    assert len(reads(run)) == 1  # that of the series itself
    first, second, *others = str(found).splitlines()
    assert first == "cells, all splits: 22 photos of 2 classes"
    accuracy = found.metrics.accuracy
    assert second.startswith(f"accuracy {accuracy:.1%} (95% interval ")
    assert others == [
        "Left out of these figures: 3 photos of classes that the model does not know (x 3).",
        "2 files can't be used:",
        "  functional/cut.png: can't be decoded: image file is truncated",
        "  notes.txt: lies beside the class folders, so it has no class",
    ]
    assert found._repr_html_().startswith(f"<pre>{first}\n")


def test_photos_that_the_run_was_trained_on_are_said_and_the_others_measured(run, solar_cells):
    found = unfreeze.evaluate(run, solar_cells)
    own = json.loads((run / "metrics.json").read_text())["test"]
    assert (found.metrics.n, found.trained_on, found.own_test) == (80, 60, 20)
    assert found.unseen is not None
    assert found.unseen.n == 20
    assert found.unseen.accuracy == own["accuracy"]
    assert found.unseen.nll == pytest.approx(own["nll"], abs=1e-5)
    assert found.to_json()["unseen"]["accuracy"] == own["accuracy"]
    warning, on_record = str(found).splitlines()[-2:]
    assert warning.startswith(
        "WARNING: 60 of these photos are the run's own training and validation photos; figures on them say nothing "
        f"about new ones; on the other 20: accuracy {own['accuracy']:.1%} ("
    )
    assert on_record == "20 are the run's own test photos; test_reads.jsonl has this read on record."
    assert [(read["why"], read["runs"], read["photos"]) for read in reads(run)[1:]] == [
        ("unfreeze evaluate", ["experiments/model_3/seed-0"], 20)
    ]


def test_photos_are_known_by_their_content(run, solar_cells, tmp_path):
    split_of = {row["path"]: row["split"] for row in rows(run.parents[2] / "splits.csv")}
    for path, split in split_of.items():
        if split in ("val", "test"):
            other = tmp_path / "copies" / split / Path(path).parent / f"renamed-{Path(path).name}"
            other.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(solar_cells / path, other)
    (tmp_path / "copies" / "val").rename(tmp_path / "copies" / "train")
    everything, train, test = (unfreeze.evaluate(run, tmp_path / "copies", each) for each in (None, "train", "test"))
    assert (everything.metrics.n, everything.trained_on, everything.own_test) == (29, 9, 20)
    assert (train.metrics.n, train.trained_on, train.own_test, train.unseen) == (9, 9, 0, None)
    assert (test.metrics.n, test.trained_on, test.own_test, test.split) == (20, 0, 20, "test")
    assert str(test).startswith("copies, the split test: 20 photos")
    assert "there are no others." in str(train)
    assert [read["photos"] for read in reads(run)[1:]] == [20, 20]


def test_a_run_validated_on_its_test_photos_has_seen_them(run, solar_cells):
    recipe = run.parents[2] / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace("validation: 0.15", "validation: test"))
    found = unfreeze.evaluate(run, solar_cells)
    assert (found.trained_on, found.own_test, found.unseen) == (80, 20, None)


def test_a_run_that_has_lost_its_splits(run, turned):
    (run.parents[2] / "splits.csv").unlink()
    found = unfreeze.evaluate(run, turned)
    assert found.to_json()["trained_on"] is None
    assert "The splits.csv of the run or of its parent is missing, so it is not known if it was trained" in str(found)


def test_photos_that_a_parent_in_another_folder_was_trained_on(series, solar_cells, turned, tmp_path):
    shutil.copytree(series, tmp_path / "before")
    parent = tmp_path / "before" / "experiments" / "model_3" / "seed-0"
    recipe = {"name": "on", "data": {"image_size": 64}, "experiments": {"on": {"from": str(parent), "epochs": 1}}}
    (tmp_path / "on.yaml").write_text(json.dumps(recipe))
    unfreeze.run(tmp_path / "on.yaml", data=turned, out=tmp_path / "out", allow_bad=True)
    run = tmp_path / "out" / "experiments" / "on" / "seed-0"
    found = unfreeze.evaluate(run, solar_cells)
    assert (found.metrics.n, found.trained_on) == (80, 60)
    shutil.rmtree(parent)
    assert unfreeze.evaluate(run, solar_cells).trained_on is None


def test_copies_within_the_data_and_one_class_alone(run, turned, tmp_path):
    shutil.copytree(turned / "functional", tmp_path / "data" / "functional")
    shutil.copy(next((turned / "functional").glob("cell*")), tmp_path / "data" / "functional" / "again.png")
    found = unfreeze.evaluate(run, tmp_path / "data")
    assert found.metrics.n == 10
    assert [each.support for each in found.metrics.per_class] == [0, 10]
    assert "10 photos of 1 classes" in str(found)


def test_few_photos_are_in_memory_at_once(run, turned, predictor, monkeypatch):
    whole = unfreeze.evaluate(run, turned).metrics
    sizes = []

    def probabilities(pixels: np.ndarray) -> np.ndarray:
        sizes.append(len(pixels))
        return Predictor.uncalibrated(predictor, pixels)

    monkeypatch.setattr(predictor, "uncalibrated", probabilities)
    monkeypatch.setattr("unfreeze.inference.evaluate.AT_ONCE", 8)
    assert unfreeze.evaluate(run, turned).metrics.confusion == whole.confusion
    assert sizes == [8, 8, 6]


def test_what_can_not_be_evaluated(run, turned, solar_cells, tmp_path):
    with pytest.raises(DataError) as error:
        unfreeze.evaluate(run, turned, "tset")
    assert str(error.value) == "There is no split tset; there are train, val, test."
    with pytest.raises(DataError) as error:
        unfreeze.evaluate(run, turned, "val")
    assert str(error.value) == (
        "cells has no photos in the split val; the data set has no splits. Without --split all are used."
    )
    shutil.copytree(turned / "x", tmp_path / "split" / "train" / "y")
    with pytest.raises(DataError, match=r"no photos in the split test; there are some in train. Without --split"):
        unfreeze.evaluate(run, tmp_path / "split", "test")
    with pytest.raises(DataError) as error:
        unfreeze.evaluate(run, tmp_path / "split")
    assert str(error.value) == (
        "The model knows none of the classes of split. It knows defective, functional; split has y. "
        "Name the data's classes as the model does."
    )
    (tmp_path / "empty" / "defective").mkdir(parents=True)
    (tmp_path / "empty" / "defective" / "a.png").write_bytes(b"")
    with pytest.raises(DataError) as error:
        unfreeze.evaluate(run, tmp_path / "empty")
    assert str(error.value) == "No photo of a class that the model knows can be used: defective/a.png is empty."
    with pytest.raises(RunError, match="There is no run"):
        unfreeze.evaluate(tmp_path / "nowhere", solar_cells)
    assert len(reads(run)) == 1
