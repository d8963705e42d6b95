"""Epochs and ancestors are read from the run folders."""

import json
import shutil
from math import isnan

import pytest
from made_series import Made

from unfreeze.errors import RunError
from unfreeze.report.history import History, Phase, read_history, read_stages


def run_of(out, name):
    return out / "experiments" / name / "seed-0"


def test_columns(tmp_path):
    (tmp_path / "history.csv").write_text(
        "epoch,loss,accuracy,val_loss,val_accuracy,learning_rate\n1,0.9,0.5,0.8,0.6,0.001\n2,0.7,0.6,,,0.0001\n"
    )
    history = read_history(tmp_path)
    assert history.epochs == 2
    assert history.loss == (0.9, 0.7)
    assert history.accuracy == (0.5, 0.6)
    assert history.val_loss[0] == 0.8
    assert isnan(history.val_loss[1])
    assert history.learning_rate == (0.001, 0.0001)


@pytest.mark.parametrize(
    ("val_loss", "best"),
    [
        ((0.9, 0.6, 0.7), 2),
        ((0.9, 0.6, 0.6), 2),
        ((0.3,), 1),
        ((float("nan"),) * 3, 3),
        ((float("nan"), 0.5, 0.6), 2),
    ],
)
def test_best_epoch_is_the_first_with_the_lowest_validation_loss(val_loss, best):
    others = tuple(0.5 for _ in val_loss)
    assert History(others, others, val_loss, others, others).best_epoch == best


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no epoch"),
        ("epoch,loss,accuracy,val_loss,val_accuracy,learning_rate\n", "no epoch"),
        ("loss\n0.5\n", "accuracy"),
        ("epoch,loss,accuracy,val_loss,val_accuracy,learning_rate\n1,high,1,1,1,1\n", "'high'"),
    ],
)
def test_something_else_than_a_history(tmp_path, text, why):
    (tmp_path / "history.csv").write_text(text)
    with pytest.raises(RunError, match=f"is no history: it needs the columns epoch,loss,accuracy.*{why}"):
        read_history(tmp_path)


def test_no_history_is_named(tmp_path):
    with pytest.raises(RunError, match="nothing was trained in this run, or it is not finished"):
        read_history(tmp_path)


def test_a_line_of_three(make_series):
    results = make_series(
        Made("a", val_loss=(0.9, 0.6, 0.7)),
        Made("b", parent="a", unfreeze=10, val_loss=(0.5, 0.4, 0.45, 0.5)),
        Made("c", parent="b", unfreeze="all", checkpoint="last"),
    )
    stages = read_stages(run_of(results.out, "c"))
    assert [stage.name for stage in stages] == ["a", "b", "c"]
    assert [stage.starts_at for stage in stages] == [None, 2, 4]
    assert [stage.history.epochs for stage in stages] == [3, 4, 3]
    assert [stage.phases for stage in stages] == [(Phase(3, 0),), (Phase(4, 10),), (Phase(3, "all"),)]


def test_a_parent_outside_the_series_and_one_that_is_gone(make_series, tmp_path_factory):
    results = make_series(Made("a"), Made("b", parent="a", unfreeze=10))
    elsewhere = tmp_path_factory.mktemp("other") / "experiments" / "a" / "seed-0"
    shutil.move(run_of(results.out, "a"), elsewhere)
    assert [stage.name for stage in read_stages(run_of(results.out, "b"))] == ["b"]
    parent = {"name": "a", "path": str(elsewhere), "checkpoint": "best"}
    (run_of(results.out, "b") / "lineage.json").write_text(json.dumps({"parent": parent}))
    assert [stage.name for stage in read_stages(run_of(results.out, "b"))] == ["a", "b"]


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("lineage.json", "{"),
        ("lineage.json", "{}"),
        ("lineage.json", '{"parent": {"name": "a"}}'),
        ("config.yaml", "a: [1"),
        ("config.yaml", "phases: [{epochs: 3}]"),
        ("config.yaml", ""),
    ],
)
def test_damaged_files_are_named(make_series, file, text):
    run = run_of(make_series(Made("a")).out, "a")
    (run / file).write_text(text)
    with pytest.raises(RunError, match=rf"{file} is damaged .*--force"):
        read_stages(run)
