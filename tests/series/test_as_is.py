"""As-is in a series: its figures against NumPy on the network's 1000 outputs, and that everything copes with it."""

import json
import shutil
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from tests.conftest import rows

import unfreeze
from unfreeze import progress
from unfreeze.config import AsIs
from unfreeze.errors import RecipeError, RunError
from unfreeze.evaluation.predictions import read_predictions
from unfreeze.models.efficientnet_lite import efficientnet_lite
from unfreeze.report.results import Coverage, load_results
from unfreeze.report.table import footnotes
from unfreeze.series.as_is import fit_class_maps, outputs_of
from unfreeze.series.folders import RunFolder
from unfreeze.series.lineage import read_parent, read_settings

CLASSES = ("defective", "solar_dishes", "strange")
CLASS_MAP = {"defective": ["window screen", "Radiators"]}
OUTPUTS = ((904, 753), (807,), ())  # ImageNet's numbers of window screen and radiator, solar dish, and nothing
RECIPE = {
    "name": "names",
    "data": {"image_size": 64, "batch_size": 8},
    "epochs": 1,
    "experiments": {
        "as_is": {"kind": "as_is", "class_map": CLASS_MAP},
        "blind": {"kind": "as_is", "class_map": {"solar_dishes": []}},
        "model": {},
    },
}


class Heard:
    """Keeps what is said on screen."""

    def __init__(self):
        self.lines = []

    @contextmanager
    def task(self, title, total):
        yield lambda steps: None

    def say(self, message):
        self.lines.append(message)


@pytest.fixture(scope="module")
def photos(solar_cells: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Solar cells under names of which ImageNet knows one by itself; every other one is cut to another shape."""
    root = tmp_path_factory.mktemp("names") / "photos"
    files = sorted(solar_cells.glob("*/*.png"))
    for number, file in enumerate(files[::2]):
        target = root / ("test" if number % 4 == 0 else "train") / CLASSES[number % 3]
        target.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, target / file.name)
        if number % 2:
            Image.open(file).crop((0, 0, 300, 200)).save(target / file.name)
        elif number % 3:
            Image.open(file).crop((0, 0, 170, 300)).save(target / file.name)
    return root


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory, photos: Path) -> Path:
    file = tmp_path_factory.mktemp("recipe") / "names.yaml"
    file.write_text(yaml.safe_dump(RECIPE | {"data": {**RECIPE["data"], "source": str(photos)}}, sort_keys=False))
    return file


@pytest.fixture(scope="module")
def planned(recipe: Path, tmp_path_factory: pytest.TempPathFactory):
    """The plan of everything, made before anything runs."""
    return unfreeze.plan(recipe)


@pytest.fixture(scope="module")
def heard() -> Heard:
    return Heard()


@pytest.fixture(scope="module")
def out(recipe: Path, planned, heard: Heard, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs") / "names"
    with progress.reporting_to(heard):
        unfreeze.run(recipe, out=out)
    return out


@pytest.fixture(scope="module")
def run(out: Path) -> Path:
    return out / "experiments" / "as_is" / "seed-0"


@pytest.fixture(scope="module")
def by_hand(out: Path, photos: Path) -> tuple[np.ndarray, np.ndarray]:
    """True classes and probabilities of the test photos, from the network's own softmax over its 1000 outputs."""
    test = [row for row in rows(out / "splits.csv") if row["split"] == "test"]
    assert len(test) == 10
    pixels = np.stack([cropped(photos / row["path"]) for row in test])
    outputs = efficientnet_lite(0, include_top=True).predict(pixels, verbose=0)
    assert outputs.shape == (10, 1000)
    scores = np.stack([outputs[:, list(known)].max(axis=1, initial=0) for known in OUTPUTS], axis=1).astype(float)
    return np.array([CLASSES.index(row["label"]) for row in test]), scores / scores.sum(axis=1, keepdims=True)


def cropped(file: Path) -> np.ndarray:
    """The middle of a photo with Pillow: 224 on the short side, then cut."""
    photo = Image.open(file).convert("RGB")
    side = min(photo.size)
    left, top = ((length - side) / 2 for length in photo.size)
    return np.asarray(photo.resize((224, 224), Image.Resampling.BILINEAR, box=(left, top, left + side, top + side)))


def test_predictions_and_figures_are_those_by_hand(run, by_hand):
    labels, probabilities = by_hand
    assert len({*labels}) == 3
    predictions = read_predictions(run / "predictions.csv")
    assert predictions.classes == CLASSES
    np.testing.assert_array_equal(predictions.labels, labels)
    np.testing.assert_allclose(predictions.probabilities, probabilities, atol=1e-5)
    assert (predictions.probabilities[:, 2] == 0).all()

    metrics = json.loads((run / "metrics.json").read_text())
    right = probabilities.argmax(axis=1) == labels
    known = labels != 2
    assert metrics["test"]["accuracy"] == right.mean()
    assert metrics["coverage"] == {
        "classes": ["defective", "solar_dishes"],
        "missing": ["strange"],
        "n": known.sum(),
        "accuracy": pytest.approx(right[known].mean()),
    }
    assert right.mean() < right[known].mean()
    of_true = probabilities[np.arange(10), labels].clip(1e-7, 1 - 1e-7)
    assert metrics["test"]["nll"] == pytest.approx(-np.log(of_true).mean(), rel=1e-4)


def test_an_entry_says_what_applies_and_null_for_the_rest(out):
    entries = json.loads((out / "results.json").read_text())["experiments"]
    assert [(entry["name"], entry["seed"]) for entry in entries] == [("as_is", 0), ("model", 0)]
    as_is, model = entries
    assert set(as_is) == set(model)
    assert {key: as_is[key] for key in ("kind", "path", "backbone")} == {
        "kind": "as_is",
        "path": "experiments/as_is/seed-0",
        "backbone": "efficientnet_lite0",
    }
    training = ("fraction", "train_images", "augment", "views", "unfreeze", "trainable_parameters", "start_from")
    assert all(as_is[key] is None for key in (*training, "epochs", "val"))
    assert as_is["test"]["n"] == 10
    assert as_is["coverage"]["missing"] == ["strange"]
    assert model["coverage"] is None
    assert model["epochs"] == 1
    (first, *_) = load_results(out).experiments
    assert isinstance(first.coverage, Coverage)


def test_the_run_folder_holds_a_model_and_what_is_matched_with_what(run):
    assert sorted(file.name for file in run.iterdir()) == [
        *("classes.json", "config.yaml", "lineage.json", "metrics.json", "model.keras", "predictions.csv")
    ]
    lineage = json.loads((run / "lineage.json").read_text())
    assert lineage["imagenet_names"] == {
        "defective": ["radiator", "window screen"],
        "solar_dishes": ["solar dish"],
        "strange": [],
    }
    assert lineage["weights_sha256_before"] == lineage["weights_sha256"]
    assert (lineage["kind"], lineage["parent"], lineage["epochs"], lineage["phases"]) == ("as_is", None, 0, [])
    expected = AsIs(name="as_is", backbone="efficientnet_lite0", image_size=224, class_map=CLASS_MAP)
    assert read_settings(RunFolder(run)) == expected
    assert expected.resize == "crop"


def test_predict_and_show_use_it_like_any_run(run, photos, monkeypatch):
    predictions, predictor = read_predictions(run / "predictions.csv"), unfreeze.load(run)
    found = predictor.predict([photos / path for path in predictions.paths])
    for prediction, row in zip(found, predictions.probabilities, strict=True):
        assert dict(prediction.top) == pytest.approx(dict(zip(CLASSES, row.tolist(), strict=True)), abs=1e-5)
    monkeypatch.setattr("unfreeze.inference.show.Predictor", lambda run: predictor)  # loaded already
    assert {photo.predicted for photo in unfreeze.show(run, split="train", count=9).photos} <= {*CLASSES[:2]}


def test_the_test_photos_are_read_once_with_all_others(out):
    reads = [json.loads(line) for line in (out / "test_reads.jsonl").read_text().splitlines()]
    assert [read["runs"] for read in reads] == [["experiments/as_is/seed-0", "experiments/model/seed-0"]]


def test_one_that_knows_no_class_is_left_out_and_said(out, heard, recipe):
    reason = (
        "left out, because ImageNet has no name for any class of these photos (defective, solar_dishes, strange); "
        "say with class_map which of its names stand for them"
    )
    assert f"blind: {reason}" in heard.lines
    assert load_results(out).left_out == {"blind": reason}
    assert not (out / "experiments" / "blind").exists()
    with pytest.raises(RunError, match="There is nothing to show: blind is left out, because ImageNet has no name"):
        unfreeze.run(recipe, out=out / "other", only=["blind"])


def test_the_screen_says_what_it_knows(out, heard):
    known = "defective (radiator, window screen), solar_dishes (solar dish)"
    assert f"as_is knows 2 of 3 classes: {known}" in heard.lines
    note = "as_is: efficientnet_lite0 knows 2 of 3 classes (defective, solar_dishes); accuracy on their 7 photos "
    assert [line.startswith(note) for line in footnotes(load_results(out))] == [False] * 2 + [True, False]


def test_pictures_and_tensorboard(out):
    pictures = {file.name for file in (out / "pictures").iterdir()}
    assert "as_is-seed-0-confusion.png" in pictures
    assert "as_is-seed-0-curves.png" not in pictures
    assert list((out / "tensorboard" / "as_is" / "seed-0").glob("events.*"))


def test_the_plan_says_what_runs(planned, recipe, out):
    before, model = planned
    assert (before.name, before.kind, before.train_images, before.epochs) == ("as_is", "as_is", 0, 0)
    assert (before.forward_images, before.cached_images) == (10, 0)
    assert (before.trainable_parameters, before.frozen_parameters) == (0, 4_652_008 + 42_016)
    assert before.seconds > 0
    assert model.kind == "feature_extraction"
    after, _ = unfreeze.plan(recipe)
    assert (after.forward_images, after.cached_images) == (0, 10)


def test_the_same_call_again_changes_nothing_and_the_written_recipe_says_the_same(out, run):
    changed = (run / "metrics.json").stat().st_mtime_ns
    heard = Heard()
    with progress.reporting_to(heard):
        unfreeze.run(out / "recipe.yaml", out=out)
    assert "as_is, seed 0: already trained" in heard.lines
    assert (run / "metrics.json").stat().st_mtime_ns == changed


def test_nothing_starts_from_it(run):
    with pytest.raises(RunError, match=r"seed-0 is as-is, so nothing of it is trained; start from ImageNet's weights"):
        read_parent(RunFolder(run), "best")


def as_is(name: str = "as_is", **class_map: list[str]) -> AsIs:
    return AsIs(name=name, backbone="efficientnet_lite0", image_size=224, class_map=class_map)


def test_all_mistakes_of_class_maps_are_named_at_once():
    series = [as_is(burger=["cheeseburger"], pizza=["piza"]), as_is("other", hamburger=["cheeseburger", "pizza"])]
    with pytest.raises(RecipeError) as error:
        fit_class_maps(series, ["hamburger", "pizza", "sushi"], own_photos=True)
    assert str(error.value).splitlines() == [
        "The recipe does not fit the photos:",
        "  - experiments.as_is.class_map: there is no class `burger` (did you mean `hamburger`?); there are hamburger, "
        "pizza, sushi",
        "  - experiments.as_is.class_map.pizza: ImageNet has no class `piza` (did you mean `pizza`?)",
        "  - experiments.other.class_map.hamburger: `pizza` stands for `pizza` already; it can be only one of them",
    ]
    with pytest.raises(RecipeError, match=r"class_map\.b: `lemon` stands for `a` already"):
        fit_class_maps([as_is(a=["lemon"], b=["lemon", "fig"])], ["a", "b"], own_photos=True)


def test_with_other_photos_a_class_map_keeps_what_fits():
    (fitted,), left_out = fit_class_maps([as_is(hamburger=["cheeseburger"])], ["lemon", "milk"], own_photos=False)
    assert isinstance(fitted, AsIs)
    assert fitted.class_map == {}
    assert outputs_of(fitted, ["lemon", "milk"]) == [(951,), ()]
    assert left_out == {}


def test_a_class_map_takes_the_place_of_the_name():
    assert outputs_of(as_is(crane=["n02012849"]), ["crane", "lemon"]) == [(134,), (951,)]
    assert outputs_of(as_is(), ["crane"]) == [(134, 517)]
    assert outputs_of(as_is(crane=[]), ["crane"]) == [()]
