"""`unfreeze compare`: saved results side by side."""

import re
import shutil

import pytest

from tests.cli.conftest import refused
from unfreeze.evaluation.intervals import wilson_interval


def test_json(call, series):
    finished = call("compare", series, "--json")
    assert finished.code == 0
    assert set(finished.json) == {"experiments", "pairs"}
    assert len(finished.json["pairs"]) == 10
    assert {pair["verdict"] for pair in finished.json["pairs"]} <= {"better", "worse", "within noise"}
    assert [each["name"] for each in finished.json["experiments"]] == [f"model_{number}" for number in range(5)]
    for each in finished.json["experiments"]:
        assert each["seeds"] == 1
        mean = each["accuracy"]["mean"]
        assert each["accuracy"]["ci95"] == pytest.approx(wilson_interval(mean * 20, 20))
        assert each["accuracy"]["sd"] is None  # of one seed there is none


def test_the_table_needs_saved_results_alone(call, series, tmp_path):
    out = tmp_path / "out"
    shutil.copytree(series, out, ignore=shutil.ignore_patterns("*.h5", "*.keras", "pictures", "tensorboard"))
    finished = call("compare", out)
    assert finished.code == 0
    lines = finished.stdout.splitlines()
    headings = ("experiment", "method", "photos", "epochs", "test accuracy", "macro F1", "loss", "seconds")
    assert re.split(r"\s{2,}", lines[0]) == list(headings)
    assert lines[1].startswith("model_0     feature extraction")
    assert lines[4].startswith("model_3     fine-tuning: last 10")
    assert sum(re.split(r"\s{2,}", line)[:3] == ["experiment", "against", "verdict"] for line in lines) == 1
    assert lines[-1] == f"The report: {out / 'report.html'}"
    assert (out / "report.html").stat().st_size > 100_000
    assert (out / "pictures" / "comparison.png").stat().st_size > 10_000
    assert (out / "pictures" / "model_3-seed-0-confusion.png").is_file()


def test_a_folder_without_results(call, tmp_path):
    for folder in (tmp_path, tmp_path / "nowhere"):
        assert refused(call("compare", folder)) == (
            f"{folder} holds no results.json, so no finished experiment. Name the folder that `unfreeze run` "
            "wrote (its --out, or runs/NAME), or call `unfreeze run` again to finish it."
        )


def test_several_folders(call, series, tmp_path):
    again = tmp_path / "again"
    shutil.copytree(series, again, ignore=shutil.ignore_patterns("*.h5", "*.keras", "pictures", "tensorboard"))
    finished = call("compare", series, again, "--json")
    found = {(pair["a"], pair["b"]): pair for pair in finished.json["pairs"]}
    same = found["again/model_3", f"{series.name}/model_3"]
    assert (same["difference"], same["verdict"]) == (0.0, "within noise")
    assert str(again) in call("compare", series, again).stdout.splitlines()
