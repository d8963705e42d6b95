"""Planted copies and exchanged labels in a real series, down to the report's pictures."""

import csv
import json
import shutil

import pytest
from PIL import Image

import unfreeze
from unfreeze.errors import RunError


@pytest.fixture(scope="module")
def out(solar_cells, tmp_path_factory):
    folder = tmp_path_factory.mktemp("checks")
    for split, numbers in (("train", range(30)), ("test", range(30, 40))):
        for label in ("defective", "functional"):
            (folder / "cells" / split / label).mkdir(parents=True)
            files = sorted((solar_cells / label).iterdir())
            for number in numbers:
                shutil.copy(files[number], folder / "cells" / split / label / files[number].name)
    shown = sorted((folder / "cells" / "train" / "functional").iterdir())[3]
    with Image.open(shown) as photo:  # the same cell once more, smaller and in another format
        photo.convert("L").resize((280, 280)).save(folder / "cells" / "test" / "functional" / "again.jpg", quality=95)
    recipe = folder / "checks.yaml"
    recipe.write_text(
        "name: checks\ndata: {image_size: 96, batch_size: 8}\naugment: {flip: horizontal}\nepochs: 1\n"
        "experiments: {model: {}}\n"
    )
    unfreeze.run(recipe, data=folder / "cells", out=folder / "out")
    return folder / "out"


def test_a_copy_in_another_split_is_found(out):
    found = json.loads((out / "photo_checks.json").read_text())
    assert found["photos"] == 81
    (pair,) = found["near_duplicates"][:1]
    first, second = pair["photos"]
    assert (first["split"], second["path"]) in (
        ("train", "test/functional/again.jpg"),
        ("val", "test/functional/again.jpg"),
    )
    assert first["path"].startswith("train/functional/")
    assert 0.95 < pair["similarity"] <= 1


def test_the_report_shows_it(out):
    page = (out / "report.html").read_text()
    assert "near-duplicates across splits" in page
    assert "test/functional/again.jpg" in page
    assert page.count("data:image/jpeg") >= 22  # all test photos, and the copy's original
    with (out / "splits.csv").open(newline="") as lines:
        assert sum(row["split"] == "left_out" for row in csv.DictReader(lines)) == 0  # no twin by pixels


def test_nothing_is_looked_at_twice(out, monkeypatch):
    monkeypatch.setattr("unfreeze.series.photo_checks.near_duplicates", lambda *_: pytest.fail("looked again"))
    unfreeze.run(out / "recipe.yaml", out=out)


def test_a_damaged_file_is_named_and_made_again(out):
    file = out / "photo_checks.json"
    text = file.read_text()
    file.unlink()
    unfreeze.compare(out)
    assert "worth a second look" not in (out / "report.html").read_text()
    for damaged in ("{}", text.replace("train", "test ")):
        file.write_text(damaged)
        with pytest.raises(RunError, match=r"photo_checks\.json is damaged.*unfreeze run"):
            unfreeze.compare(out)
        unfreeze.run(out / "recipe.yaml", out=out)
        assert file.read_text() == text
