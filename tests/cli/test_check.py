"""`unfreeze check` on folders that are good, bad and worse."""

import shutil

from tests.cli.conftest import refused


def photos(solar_cells, count):
    return sorted((solar_cells / "defective").iterdir())[:count]


def test_a_good_folder(call, solar_cells):
    finished = call("check", solar_cells)
    assert finished.code == 0
    assert finished.stdout.splitlines() == [
        "No test split is given: 25% of the photos are kept for test.",
        "80 usable photos of 2 classes",
        "  defective        40",
        "  functional       40",
        "splits: train 51, val 9, test 20",
    ]
    assert finished.stderr == ""


def test_json(call, solar_cells, tmp_path):
    for split, files in (("train", photos(solar_cells, 6)), ("test", photos(solar_cells, 8)[5:])):
        for number, file in enumerate(files):
            label = "ab"[number % 2]
            (tmp_path / split / label).mkdir(parents=True, exist_ok=True)
            shutil.copy(file, tmp_path / split / label)
    (tmp_path / "train" / "a" / "text.jpg").write_text("no photo")
    finished = call("check", tmp_path, "--json")
    twin = photos(solar_cells, 6)[5].name
    assert finished.code == 0
    assert {key: finished.json[key] for key in ("images", "classes", "splits", "bad", "twins")} == {
        "images": 9,
        "classes": {"a": 5, "b": 4},
        "splits": {"train": 3, "val": 2, "test": 3, "left_out": 1},
        "bad": [{"path": "train/a/text.jpg", "reason": "is no photo, or of a kind that is not read"}],
        "twins": [{"paths": [f"test/a/{twin}", f"train/b/{twin}"], "splits": ["test", "train"]}],
    }
    text = call("check", tmp_path).stdout
    assert "1 files can't be used:\n  train/a/text.jpg: is no photo, or of a kind that is not read\n" in text
    assert f"1 photos stand in more than one split; the training copy is left out:\n  test/a/{twin} = train/b/" in text


def test_long_lists_are_cut(call, solar_cells, tmp_path):
    (tmp_path / "a").mkdir()
    shutil.copy(photos(solar_cells, 1)[0], tmp_path / "a")
    for number in range(13):
        (tmp_path / "a" / f"{number:02}.jpg").write_bytes(b"")
    lines = call("check", tmp_path).stdout.splitlines()
    assert "  a/09.jpg: is empty" in lines
    assert "  a/10.jpg: is empty" not in lines
    assert "  and 3 more (all with --json)" in lines
    assert lines[lines.index("A run would stop:") + 1].startswith(
        "  13 of 14 files (92.9%) can't be used, more than 5%"
    )


def test_nothing_usable_exits_with_1_and_still_tells(call, tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "notes.txt").write_text("no photo")
    finished = call("check", tmp_path, "--json")
    assert finished.code == 1
    assert (finished.json["images"], finished.json["classes"]) == (0, {"a": 0, "b": 0})
    finished = call("check", tmp_path)
    assert finished.code == 1
    assert "0 usable photos of 2 classes" in finished.stdout
    assert "splits" not in finished.stdout


def test_what_is_no_data_set(call, tmp_path):
    assert refused(call("check", tmp_path / "nowhere")) == (
        f"{tmp_path / 'nowhere'} is neither a folder, a file, nor the name of a data set. Give a folder with "
        "train/CLASS/* and test/CLASS/* (and val/CLASS/* if you have it), a folder of CLASS/*, Food-101's own folder, "
        "a CSV with path,label[,split][,group], a zip or tar of any of these, the URL of one, or the name of a data "
        "set (elpv, food-vision)."
    )
    assert refused(call("check", tmp_path)) == (
        f"{tmp_path} has no class folders: each class needs a folder with its photos."
    )


def test_progress_goes_to_stderr(call, solar_cells, monkeypatch):
    monkeypatch.setattr("unfreeze.cli.screen.PLAIN_SECONDS", 0.0)
    finished = call("check", solar_cells)
    assert finished.stderr.startswith("Reading photos: 1 of 80, about ")
    assert len(finished.stderr.splitlines()) == 79
    assert call("check", solar_cells, "--quiet").stderr == ""
    assert call("check", solar_cells, "--json").json["images"] == 80
