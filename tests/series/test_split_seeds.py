"""Everything once more on other splits: files, folders, parents, figures."""

import csv
import json

import pytest
from tensorboard.backend.event_processing import data_provider, plugin_event_multiplexer
from tensorboard.context import RequestContext
from tensorboard.plugins import base_plugin
from tensorboard.plugins.hparams import api_pb2, backend_context, list_session_groups

import unfreeze

RECIPE = """
name: splits
data: {source: CELLS, image_size: 64, batch_size: 8}
split_seeds: [0, 3]
references: {theirs: {accuracy: 0.3, photos: 100}}
epochs: 1
fraction: 0.3
experiments:
  frozen: {}
  tuned: {from: frozen, unfreeze: 10}
"""


def rows(file):
    with file.open(newline="") as lines:
        return list(csv.DictReader(lines))


@pytest.fixture(scope="module")
def recipe(solar_cells, tmp_path_factory):
    file = tmp_path_factory.mktemp("splits") / "splits.yaml"
    file.write_text(RECIPE.replace("CELLS", str(solar_cells)))
    return file


@pytest.fixture(scope="module")
def out(recipe):
    unfreeze.run(recipe, out=recipe.parent / "out", seeds=2)
    return recipe.parent / "out"


def test_each_split_stands_in_its_file(out):
    first, second = (rows(out / name) for name in ("splits.csv", "splits-3.csv"))
    assert [row["path"] for row in first] == [row["path"] for row in second]
    for split, count in {"train": 51, "val": 9, "test": 20}.items():
        ours, others = ({row["path"] for row in each if row["split"] == split} for each in (first, second))
        assert len(ours) == len(others) == count
        assert ours != others


def test_every_run_is_there_and_carries_its_split(out):
    results = json.loads((out / "results.json").read_text())
    found = [(each["name"], each["split_seed"], each["seed"], each["path"]) for each in results["experiments"]]
    assert found == [
        (name, split, seed, f"experiments/{name}/{'split-3-' if split else ''}seed-{seed}")
        for name in ("frozen", "tuned")
        for split in (0, 3)
        for seed in (0, 1)
    ]
    assert results["dataset"]["test_is_carved"]
    assert [(each["name"], each["seeds"], each["splits"]) for each in results["summary"]] == [
        ("frozen", 2, 2),
        ("tuned", 2, 2),
    ]


def test_a_run_is_tested_on_its_own_split_and_starts_from_its_own_parent(out):
    for folder, file in (("seed-1", "splits.csv"), ("split-3-seed-1", "splits-3.csv")):
        run = out / "experiments" / "tuned" / folder
        test = [row["path"] for row in rows(out / file) if row["split"] == "test"]
        assert [row["path"] for row in rows(run / "predictions.csv")] == test
        parent = json.loads((run / "lineage.json").read_text())["parent"]
        assert parent["path"] == f"experiments/frozen/{folder}"
    reads = [json.loads(line) for line in (out / "test_reads.jsonl").read_text().splitlines()]
    assert [(len(read["runs"]), read["photos"]) for read in reads] == [(4, 20), (4, 20)]


def test_a_finished_run_knows_its_own_split(out, solar_cells):
    run = out / "experiments" / "tuned" / "split-3-seed-0"
    found = unfreeze.evaluate(run, solar_cells)
    assert (found.trained_on, found.own_test) == (60, 20)
    assert found.unseen is not None
    assert found.unseen.n == 20
    test = {row["path"] for row in rows(out / "splits-3.csv") if row["split"] == "test"}
    assert {photo.path for photo in unfreeze.show(run, count=30).photos} == test


def test_splits_are_compared_and_references_judged(out):
    comparison = unfreeze.compare(out)
    (pair,) = comparison.pairs
    entries = comparison.results[0].experiments
    means = {
        (name, split): sum(each.test.accuracy for each in entries if (each.name, each.split_seed) == (name, split)) / 2
        for name in ("frozen", "tuned")
        for split in (0, 3)
    }
    difference = sum(means["tuned", split] - means["frozen", split] for split in (0, 3)) / 2
    assert pair.difference == pytest.approx(difference)
    assert len(comparison.references) == 2
    assert "were tested after" not in (out / "report.html").read_text()  # the splits of one call


def test_the_same_call_finds_everything_there_and_more_splits_are_added(out, recipe):
    before = {file: file.read_bytes() for file in out.glob("experiments/*/*/predictions.csv")}
    unfreeze.run(recipe, out=out, seeds=2, only=["frozen"], overrides=["split_seeds=[1]"])
    assert {file: file.read_bytes() for file in before} == before
    assert (out / "experiments" / "frozen" / "split-1-seed-0" / "metrics.json").is_file()
    assert not (out / "experiments" / "tuned" / "split-1-seed-0").exists()
    assert "- 0\n- 1\n- 3\n" in (out / "recipe.yaml").read_text()
    damaged = out / "splits-3.csv"
    whole = damaged.read_bytes()
    damaged.write_text("path,sha256,label,split,rank\n")
    unfreeze.run(recipe, out=out, seeds=2)
    assert damaged.read_bytes() == whole


def test_tensorboard_compares_all_runs_by_their_test_figures(out):
    multiplexer = plugin_event_multiplexer.EventMultiplexer().AddRunsFromDirectory(str(out / "tensorboard"))
    multiplexer.Reload()
    provider = data_provider.MultiplexerDataProvider(multiplexer, str(out))
    context = backend_context.Context(base_plugin.TBContext(data_provider=provider, logdir=str(out)))
    request_context = RequestContext()
    metadata = context.hparams_metadata(request_context, "")
    experiment = context.experiment_from_metadata(
        request_context, "", True, metadata, context.hparams_from_data_provider(request_context, "", limit=100)
    )
    names = {info.name.tag for info in experiment.metric_infos}
    assert {"test_accuracy", "test_loss", "test_macro_f1"} <= names
    assert {"name", "seed", "split_seed", "unfreeze", "learning_rate"} <= {
        info.name for info in experiment.hparam_infos
    }
    request = api_pb2.ListSessionGroupsRequest(
        start_index=0, slice_size=100, allowed_statuses=[api_pb2.STATUS_SUCCESS], col_params=[]
    )
    groups = (
        list_session_groups.Handler(request_context, backend_context=context, experiment_id="", request=request)
        .run()
        .session_groups
    )
    shown = {
        (
            group.hparams["name"].string_value,
            group.hparams["split_seed"].number_value,
            group.hparams["seed"].number_value,
        )
        for group in groups
    }
    entries = json.loads((out / "results.json").read_text())["experiments"]
    assert shown >= {(each["name"], each["split_seed"], each["seed"]) for each in entries if each["split_seed"] != 1}
