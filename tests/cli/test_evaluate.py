"""`unfreeze evaluate`: a run's figures on other photos, in words and as JSON."""

import pytest

import unfreeze
from tests.cli.conftest import refused
from tests.runs import copy_run


@pytest.fixture
def run(series, tmp_path, predictor, monkeypatch):
    """A run of one's own, whose model is loaded already."""
    monkeypatch.setattr("unfreeze.inference.evaluate.Predictor", lambda run: predictor)
    return copy_run(series, "model_3", tmp_path)


def test_json_and_text(call, run, solar_cells):
    finished = call("evaluate", run, solar_cells, "--json")
    assert finished.code == 0
    assert {"n", "accuracy", "ci95", "macro_f1", "nll", "ece"} <= set(finished.json)
    assert (finished.json["n"], finished.json["trained_on"], finished.json["unknown"]) == (80, 60, {})
    finished = call("evaluate", run, solar_cells)
    assert finished.code == 0
    assert finished.stdout == f"{unfreeze.evaluate(run, solar_cells)}\n"


def test_what_is_not_there(call, run, solar_cells, tmp_path):
    assert refused(call("evaluate", run, solar_cells, "--split", "test")) == (
        "solar_cells has no photos in the split test; the data set has no splits. Without --split all are used."
    )
    assert refused(call("evaluate", run, tmp_path / "nowhere")).startswith(
        f"{tmp_path / 'nowhere'} is neither a folder, a file, nor the name of a data set."
    )
