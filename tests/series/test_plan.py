"""The plan says what the run then does."""

import json

import pytest

import unfreeze
from unfreeze.errors import LayerError


@pytest.fixture
def planned(recipe, solar_cells):
    return {experiment.name: experiment for experiment in unfreeze.plan(recipe, data=solar_cells)}


def test_the_plan_agrees_with_the_run(planned, series):
    entries = {entry["name"]: entry for entry in json.loads((series / "results.json").read_text())["experiments"]}
    assert list(planned) == list(entries)
    for name, experiment in planned.items():
        lineage = json.loads((series / "experiments" / name / "seed-0" / "lineage.json").read_text())
        assert experiment.train_images == entries[name]["train_images"]
        assert experiment.start_from == entries[name]["start_from"]
        assert experiment.kind == entries[name]["kind"]
        assert experiment.trainable_parameters == entries[name]["trainable_parameters"]
        assert experiment.unfrozen_layers == lineage["phases"][0]["unfrozen_layers"]
        assert experiment.cut == (["block14_add"] if experiment.unfrozen_layers else ["pooling"])
    assert planned["model_3"].cuts_through == "block15"
    assert planned["model_4"].cuts_through is None
    assert planned["model_3"].trainable_parameters + planned["model_3"].frozen_parameters == 3_413_024 + 1_280 * 2 + 2


def test_what_is_computed_is_planned_once(recipe, solar_cells, tmp_path, monkeypatch):
    monkeypatch.setenv("UNFREEZE_CACHE", str(tmp_path))
    planned = {experiment.name: experiment for experiment in unfreeze.plan(recipe, data=solar_cells)}
    # model_0 trains on 18 photos as they are; all share 9 for validation and 20 for test
    assert (planned["model_0"].forward_images, planned["model_0"].cached_images) == (18 + 9 + 20, 0)
    # two views of 6 photos, then of the other 12; model_3 trains on the same, cut earlier
    assert (planned["model_1"].forward_images, planned["model_1"].cached_images) == (12, 29)
    assert (planned["model_2"].forward_images, planned["model_2"].cached_images) == (24, 12 + 29)
    assert (planned["model_3"].forward_images, planned["model_3"].cached_images) == (0, 36 + 29)
    # another augmentation, so other views, except for the first: the photos as they are
    assert (planned["model_4"].forward_images, planned["model_4"].cached_images) == (33, 18 + 29)
    assert all(experiment.seconds > 0 and experiment.disk_bytes > 0 for experiment in planned.values())


def test_nothing_is_left_to_compute_after_the_run(planned, series):
    assert series.is_dir()
    assert sum(experiment.forward_images for experiment in planned.values()) == 0


def test_all_misspelt_layers_are_named(recipe, solar_cells):
    wrong = ["experiments.model_3.unfreeze=blok15", "experiments.model_4.unfreeze=9999"]
    with pytest.raises(LayerError) as error:
        unfreeze.plan(recipe, data=solar_cells, overrides=wrong)
    assert "experiments.model_3: " in str(error.value)
    assert "blok15" in str(error.value)
    assert "experiments.model_4: unfreeze: 9999 asks for more layers than efficientnet_lite0 has" in str(error.value)
