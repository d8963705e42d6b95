"""`unfreeze train`: one experiment from a folder of photos."""

import json
import shutil

from tests.cli.conftest import refused


def test_flags_make_one_plain_phase(call, solar_cells, tmp_path):
    cells = tmp_path / "cells"
    for label in ("defective", "functional"):
        (cells / label).mkdir(parents=True)
        for file in sorted((solar_cells / label).iterdir())[:8]:
            shutil.copy(file, cells / label)
    out = tmp_path / "out"
    flags = "--unfreeze", "10", "--epochs", 1, "--learning-rate", "2e-4", "--fraction", 0.5, "--name", "mine"
    finished = call("train", cells, *flags, "--out", out, "--json")
    assert finished.code == 0
    (entry,) = finished.json["experiments"]
    assert finished.json == json.loads((out / "results.json").read_text())
    expected = {"name": "mine", "kind": "fine_tuning", "unfreeze": 10, "epochs": 1, "fraction": 0.5, "train_images": 6}
    assert {key: entry[key] for key in expected} == expected
    rates = [line.split(",")[-1] for line in (out / entry["path"] / "history.csv").read_text().splitlines()]
    assert rates == ["learning_rate", "0.0002"]
    assert "mine, seed 0, epoch 1: loss " in finished.stderr


def test_mistakes(call, solar_cells, tmp_path):
    flags = "--epochs", "0", "--fraction", "1.5", "--learning-rate", "-1"
    first, *mistakes = refused(call("train", solar_cells, *flags)).splitlines()
    assert first == "The call has 3 mistakes:"
    for name in ("fraction", "epochs", "learning_rate"):
        assert any(f".{name}: " in mistake for mistake in mistakes)
    message = refused(call("train", solar_cells, "--backbone", "resnet49", "--out", tmp_path))
    assert message.startswith("There is no backbone 'resnet49'. Did you mean resnet")
    message = refused(call("train", solar_cells, "--unfreeze", "blok15", "--out", tmp_path))
    assert "has no layer or block named 'blok15'. Did you mean block15" in message
    message = refused(call("train", solar_cells, "--from", tmp_path / "nowhere", "--out", tmp_path))
    assert f"there is no experiment `{tmp_path / 'nowhere'}`" in message
    assert refused(call("train", tmp_path / "nowhere")).startswith(f"{tmp_path / 'nowhere'} is neither a folder")
