"""`unfreeze predict`: classes of photos and folders, and what can't be predicted."""

import csv
import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

import unfreeze
from tests.cli.conftest import refused


@pytest.fixture(scope="module")
def run(series):
    return series / "experiments" / "model_4" / "seed-0"


@pytest.fixture
def photos(solar_cells, tmp_path):
    """A good photo, a folder with a good and a bad one, and one that is not there."""
    first, second = sorted((solar_cells / "defective").iterdir())[:2]
    (tmp_path / "folder" / "deep").mkdir(parents=True)
    shutil.copy(second, tmp_path / "folder" / "deep" / "good.png")
    (tmp_path / "folder" / "bad.png").write_bytes(second.read_bytes()[:500])
    return [first, tmp_path / "folder", tmp_path / "missing.jpg"]


def test_json_of_a_real_call(run, photos, tmp_path):
    code = "import sys; from unfreeze.cli import main; sys.exit(main())"
    arguments = ["predict", str(run), *map(str, photos), "--json"]
    finished = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=False)
    assert finished.returncode == 1  # two could not be predicted
    assert finished.stderr == ""
    predictions = json.loads(finished.stdout)
    assert [(each["path"], each["error"]) for each in predictions] == [
        (str(photos[0]), None),
        (str(tmp_path / "folder" / "bad.png"), "can't be decoded: image file is truncated"),
        (str(tmp_path / "folder" / "deep" / "good.png"), None),
        (str(tmp_path / "missing.jpg"), "is not there"),
    ]
    for each in predictions:
        assert set(each) == {"path", "top", "error"}
        if each["error"]:
            assert each["top"] == []
        else:
            assert {top["class"] for top in each["top"]} == {"defective", "functional"}
            assert sum(top["probability"] for top in each["top"]) == pytest.approx(1)
            assert each["top"][0]["probability"] >= each["top"][1]["probability"]


@pytest.fixture(scope="module")
def predictor(run):
    return unfreeze.load(run)


@pytest.fixture
def loaded(predictor, monkeypatch):
    """Load the model once for all tests."""
    monkeypatch.setattr(unfreeze, "load", lambda run: predictor, raising=False)


@pytest.mark.usefixtures("loaded")
def test_text(call, run, photos, predictor):
    finished = call("predict", run, photos[0])
    assert finished.code == 0
    top = ", ".join(f"{name} {probability:.1%}" for name, probability in predictor.predict(photos[0])[0].top)
    assert finished.stdout == f"{photos[0]}: {top}\n"
    finished = call("predict", run, photos[2])
    assert (finished.code, finished.stdout) == (1, f"{photos[2]}: is not there\n")


def test_a_backbone_as_it_is(call, photos):
    finished = call("predict", "efficientnet_lite0", photos[0], "--json")
    assert finished.code == 0
    (prediction,) = finished.json
    assert prediction["path"] == str(photos[0])
    assert prediction["error"] is None
    top = unfreeze.load("efficientnet_lite0").predict(photos[0])[0].top
    assert prediction["top"] == [{"class": name, "probability": probability} for name, probability in top]
    assert len(top) == 5


@pytest.mark.usefixtures("loaded")
def test_embeddings(call, run, photos, tmp_path):
    out = tmp_path / "new" / "x.npz"
    finished = call("predict", run, *photos, "--embeddings", out)
    assert finished.code == 1  # two files could not be predicted
    said = f"Feature vectors of the 2 photos that could be read, 1,280 numbers each: {out}"
    assert finished.stdout.splitlines()[4:] == [said]
    with np.load(out, allow_pickle=False) as saved:
        assert saved["embeddings"].shape == (2, 1280)
        assert saved["paths"].tolist() == [str(photos[0]), str(tmp_path / "folder" / "deep" / "good.png")]
    finished = call("predict", run, photos[0], "--embeddings", out, "--json")
    assert (finished.code, len(finished.json)) == (0, 1)
    assert finished.stderr == said.replace("the 2 photos", "the 1 photos") + "\n"


@pytest.mark.usefixtures("loaded")
def test_embeddings_are_npz(call, run, photos, tmp_path):
    finished = call("predict", run, photos[0], "--embeddings", tmp_path / "x.csv")
    assert (finished.code, finished.stdout) == (2, "")
    assert "feature vectors are written as .npz" in " ".join(finished.stderr.split())


@pytest.mark.usefixtures("loaded")
def test_a_folder_without_photos(call, run, tmp_path):
    assert refused(call("predict", run, tmp_path)) == f"{tmp_path} holds no photo, nor does any folder below it."


def test_several_runs(call, series, photos):
    message = refused(call("predict", series, photos[0]))
    assert message.splitlines()[:2] == [
        f"{series} holds 5 runs; name one of them:",
        f"  {series / 'experiments' / 'model_0' / 'seed-0'}",
    ]


@pytest.mark.usefixtures("loaded")
def test_csv_has_a_column_a_class(call, run, photos, predictor):
    finished = call("predict", run, *photos, "--csv")
    assert finished.code == 1  # two could not be predicted
    header, *lines = csv.reader(finished.stdout.splitlines())
    assert header == ["path", "error", "predicted", "probability", *predictor.classes]
    predictions = predictor.predict(photos)
    assert [line[:2] for line in lines] == [[each.path, each.error or ""] for each in predictions]
    for line, prediction in zip(lines, predictions, strict=True):
        if prediction.error:
            assert line[2:] == [""] * 4
        else:
            assert [line[2], float(line[3])] == list(prediction.top[0])
            assert {name: float(line[4 + n]) for n, name in enumerate(predictor.classes)} == dict(prediction.top)


@pytest.mark.usefixtures("loaded")
def test_csv_of_embeddings_is_csv_alone(call, run, photos, tmp_path):
    finished = call("predict", run, photos[0], "--csv", "--embeddings", tmp_path / "x.npz")
    assert (finished.code, len(finished.stdout.splitlines())) == (0, 2)
    assert finished.stderr.startswith("Feature vectors of the 1 photos")


def test_csv_or_json(call, run, photos):
    finished = call("predict", run, photos[0], "--csv", "--json")
    assert (finished.code, finished.stdout) == (2, "")
    assert "an answer is CSV or JSON, not both" in " ".join(finished.stderr.split())


@pytest.mark.usefixtures("loaded")
def test_a_pattern_and_a_pattern_that_fits_nothing(call, run, photos, solar_cells):
    finished = call("predict", run, f"{solar_cells}/defective/*1.png", "--json")
    assert [each["path"] for each in finished.json] == sorted(map(str, solar_cells.glob("defective/*1.png")))
    assert refused(call("predict", run, f"{solar_cells}/*.heic")).startswith(f"No file fits {solar_cells}/*.heic.")
