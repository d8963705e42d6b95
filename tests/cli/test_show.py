"""`unfreeze show`: photos, their predictions, and a picture of both."""

import json
import shutil

import pytest
from PIL import Image

from tests.cli.conftest import refused
from tests.runs import copy_run


@pytest.fixture
def run(series, tmp_path, predictor, monkeypatch):
    """A run of one's own, whose model is loaded already."""
    monkeypatch.setattr("unfreeze.inference.show.Predictor", lambda run: predictor)
    return copy_run(series, "model_3", tmp_path)


def test_json(call, run, tmp_path):
    out = tmp_path / "photos.png"
    finished = call("show", run, "--class", "functional", "--count", 3, "--seed", 1, "--out", out, "--json")
    assert finished.code == 0
    assert finished.json["out"] == str(out)
    assert len(finished.json["photos"]) == 3
    for photo in finished.json["photos"]:
        assert set(photo) == {"path", "label", "predicted", "probability"}
        assert photo["label"] == "functional"
        assert photo["path"].startswith("functional/")
        assert 0.5 <= photo["probability"] <= 1
    with Image.open(out) as picture:
        assert picture.format == "PNG"
    reads = [json.loads(line) for line in (tmp_path / "test_reads.jsonl").read_text().splitlines()]
    assert [(read["why"], read["photos"]) for read in reads[1:]] == [("unfreeze show", 3)]


def test_text(call, run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    options = "--count", 2, "--seed", 5, "--split", "val"
    lines = call("show", run, *options).stdout.splitlines()
    photos = call("show", run, *options, "--json").json["photos"]
    for line, photo in zip(lines, photos, strict=False):
        verdict = "right" if photo["label"] == photo["predicted"] else "wrong"
        assert line == (
            f"{photo['path']}: {photo['label']}, predicted {photo['predicted']} ({photo['probability']:.1%}), {verdict}"
        )
    assert lines[2:] == ["Drawn in show.png"]
    assert (tmp_path / "show.png").is_file()


def test_another_data_set(call, run, solar_cells, tmp_path):
    shutil.copytree(solar_cells / "defective", tmp_path / "mine" / "cracked")
    finished = call("show", run, "--data", tmp_path / "mine", "--count", 2, "--out", tmp_path / "x.png", "--json")
    assert [photo["label"] for photo in finished.json["photos"]] == ["cracked", "cracked"]


def test_what_is_not_there(call, run, tmp_path):
    assert refused(call("show", run, "--split", "tset")) == "There is no split tset; there are train, val, test."
    assert refused(call("show", run, "--class", "cracked", "--split", "val")) == (
        "There is no class cracked in val; there are defective, functional."
    )
    assert refused(call("show", tmp_path / "nowhere")) == (
        f"There is no run {tmp_path / 'nowhere'}. A run is a folder like runs/demo/experiments/model_2/seed-0."
    )
    assert refused(call("show", run, "--data", tmp_path / "nowhere")).startswith(
        f"{tmp_path / 'nowhere'} is neither a folder, a file, nor the name of a data set."
    )
