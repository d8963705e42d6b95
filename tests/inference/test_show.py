"""Random photos with their predictions: which photos can be asked for, and what goes on record."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.conftest import rows
from tests.runs import copy_run

import unfreeze
from unfreeze.errors import DataError, RunError
from unfreeze.inference.predictor import Predictor
from unfreeze.report.gallery import gallery


@pytest.fixture
def run(series: Path, tmp_path: Path, predictor: Predictor, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run of one's own, whose model is loaded already, and whose photos are not drawn."""
    monkeypatch.setattr("unfreeze.inference.show.Predictor", lambda run: predictor)
    monkeypatch.setattr("unfreeze.inference.show.gallery", lambda photos: None)
    return copy_run(series, "model_3", tmp_path)


def out_of(run: Path) -> Path:
    return run.parents[2]


def reads(run: Path) -> list[dict]:
    return [json.loads(line) for line in (out_of(run) / "test_reads.jsonl").read_text().splitlines()]


def split_of(run: Path) -> dict[str, str]:
    return {row["path"]: row["split"] for row in rows(out_of(run) / "splits.csv")}


@pytest.mark.parametrize(("split", "count"), [("train", 51), ("val", 9), ("test", 20)])
def test_photos_come_from_the_split_that_was_asked_for(run, split, count):
    shown = unfreeze.show(run, split=split, count=1000)
    paths = {photo.path for photo in shown.photos}
    assert paths == {path for path, where in split_of(run).items() if where == split}
    assert len(shown.photos) == count
    assert all(photo.path.split("/")[0] == photo.label for photo in shown.photos)


def test_predictions_are_the_runs_own(run):
    saved = {row["path"]: row for row in rows(run / "predictions.csv")}
    for photo in unfreeze.show(run, count=20).photos:
        assert photo.predicted == saved[photo.path]["predicted"]
        assert photo.probability == pytest.approx(float(saved[photo.path]["probability"]), abs=1e-5)


def test_a_class_and_a_seed(run):
    first, again, other = (unfreeze.show(run, label="defective", count=4, seed=seed).photos for seed in (1, 1, 2))
    assert {photo.label for photo in first} == {"defective"}
    assert len({photo.path for photo in first}) == 4
    assert [photo.path for photo in first] == [photo.path for photo in again]
    assert [photo.path for photo in first] != [photo.path for photo in other]


def test_photos_of_another_data_set(run, solar_cells, tmp_path):
    other = tmp_path / "other" / "train" / "cracked"
    other.mkdir(parents=True)
    (tmp_path / "other" / "train" / "whole").mkdir()
    Image.new("L", (1200, 600), 90).save(other / "grey.jpg")
    (other / "bad.jpg").write_bytes(b"")
    Image.new("L", (40, 90), 20).save(tmp_path / "other" / "train" / "whole" / "a.png")
    shown = unfreeze.show(run, split="train", data=tmp_path / "other", count=9)
    assert sorted(photo.path for photo in shown.photos) == ["train/cracked/grey.jpg", "train/whole/a.png"]
    assert {photo.predicted for photo in shown.photos} <= {"defective", "functional"}
    large = next(photo for photo in shown.photos if photo.label == "cracked")
    assert large.pixels.shape == (256, 512, 3)
    with pytest.raises(DataError) as error:
        unfreeze.show(run, data=tmp_path / "other")
    assert str(error.value) == "There are no photos in the split test; there are some in train."
    assert len(reads(run)) == 1


def test_test_photos_go_on_record_and_others_do_not(run, solar_cells, tmp_path):
    unfreeze.show(run, split="train", count=3)
    unfreeze.show(run, split="val", count=3)
    assert len(reads(run)) == 1  # that of the series itself
    unfreeze.show(run, count=3)
    assert reads(run)[1]["photos"] == 3
    assert reads(run)[1]["why"] == "unfreeze show"
    assert reads(run)[1]["runs"] == ["experiments/model_3/seed-0"]

    copies = tmp_path / "copies" / "cell"
    copies.mkdir(parents=True)
    for path, where in split_of(run).items():
        if where in ("test", "val"):
            shutil.copy(solar_cells / path, copies)
    unfreeze.show(run, data=copies.parent, count=100)
    assert reads(run)[2]["photos"] == 20  # known by their content, wherever they lie


def test_a_run_validated_on_test_photos_shows_and_records_them(run):
    recipe = out_of(run) / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace("validation: 0.15", "validation: test"))
    shown = unfreeze.show(run, split="val", count=100)
    assert {split_of(run)[photo.path] for photo in shown.photos} == {"test"}
    assert reads(run)[1]["photos"] == 20


def test_what_is_not_there_is_said_with_what_is(run, tmp_path):
    with pytest.raises(DataError) as error:
        unfreeze.show(run, split="tset")
    assert str(error.value) == "There is no split tset; there are train, val, test."
    with pytest.raises(DataError) as error:
        unfreeze.show(run, label="crackd")
    assert str(error.value) == "There is no class crackd in test; there are defective, functional."
    assert len(reads(run)) == 1

    for name, content in (("splits.csv", None), ("recipe.yaml", "a: ["), ("recipe.yaml", "a: 1")):
        file = out_of(run) / name
        kept = file.read_bytes()
        file.unlink() if content is None else file.write_text(content)
        with pytest.raises(
            RunError, match=r"does not say which photos the run was trained on.*Name a data set with --d"
        ):
            unfreeze.show(run)
        file.write_bytes(kept)


def test_photos_that_are_gone(run, solar_cells, tmp_path):
    moved = tmp_path / "moved"
    shutil.copytree(solar_cells, moved)
    recipe = out_of(run) / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace(str(solar_cells), str(moved)))
    left, *gone = [path for path, where in split_of(run).items() if where == "test"]
    for path in gone:
        (moved / path).unlink()
    assert [photo.path for photo in unfreeze.show(run, count=5).photos] == [left]
    (moved / left).unlink()
    with pytest.raises(DataError, match=r"^None of the 20 photos can be read: .* is not there\.$"):
        unfreeze.show(run)
    shutil.rmtree(moved)
    with pytest.raises(DataError, match="moved is neither a folder, a file, nor the name of a data set"):
        unfreeze.show(run)


def test_the_picture_is_written_where_it_is_wanted(run, tmp_path, monkeypatch):
    monkeypatch.setattr("unfreeze.inference.show.gallery", gallery)
    shown = unfreeze.show(run, split="train", count=3, seed=0)
    file = tmp_path / "new" / "folder" / "x.png"
    shown.save(file)
    with Image.open(file) as picture:
        assert picture.format == "PNG"
        pixels = np.asarray(picture.convert("RGB"))
    assert pixels.shape[1] > 2 * pixels.shape[0]  # three side by side
    assert pixels.std() > 20
    assert shown._repr_png_() == file.read_bytes()
    assert shown.to_json() == {
        "photos": [
            {"path": each.path, "label": each.label, "predicted": each.predicted, "probability": each.probability}
            for each in shown.photos
        ]
    }
