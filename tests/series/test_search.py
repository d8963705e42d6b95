"""A search: cheap trials first, chosen by validation photos, within the time, and made again by its recipe."""

import itertools
import json
import math
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
import yaml
from tests.conftest import rows

import unfreeze
from unfreeze import config
from unfreeze.errors import RecipeError
from unfreeze.series.costs import Costs, Pace
from unfreeze.series.folders import SeriesFolder
from unfreeze.series.outlook import outlook
from unfreeze.series.photos import open_photos
from unfreeze.series.recipe import resolve
from unfreeze.series.search import Search, search
from unfreeze.series.search_space import ALL, AUGMENTATIONS, depths_of, fine_tuning, probe
from unfreeze.series.trials import Trial, read_trials, write_trials
from unfreeze.series.watch import Ended, Watch, chance


class Seconds:
    """A clock that goes on by a second whenever somebody looks, so that speed makes no difference."""

    def __init__(self, is_over: Callable[[], bool] = lambda: False):
        self.now, self.is_over = 0.0, is_over

    def __call__(self) -> float:
        self.now += 1
        if self.is_over():
            raise KeyboardInterrupt
        return self.now


@pytest.fixture(scope="module")
def small(module_patch):
    """Three epochs of the last two blocks, and nothing deeper."""
    module_patch.setattr(config, "TRAIN_FIRST", {**config.TRAIN_FIRST, "blocks": 2})
    module_patch.setattr(config, "train_epochs", lambda photos: 3)
    module_patch.setattr("unfreeze.series.search.PATIENCE", 1)
    module_patch.setattr("unfreeze.series.search.depths_of", lambda block_count: [2])


@pytest.fixture(scope="module")
def module_patch():
    with pytest.MonkeyPatch.context() as patch:
        yield patch


SEARCH = 5.0, "cells", ["efficientnet_lite0"]
"""Minutes, name and backbones."""


@pytest.fixture(scope="module")
def found(small, solar_cells, tmp_path_factory):
    out = tmp_path_factory.mktemp("search") / "out"
    return out, search(str(solar_cells), *SEARCH, out, clock=Seconds())


def test_one_experiment_is_left_and_the_test_photos_were_read_once(found):
    out, results = found
    [entry] = json.loads((out / "results.json").read_text())["experiments"]
    assert (entry["name"], entry["path"]) == ("best", "experiments/best/seed-0")
    assert len((out / "test_reads.jsonl").read_text().splitlines()) == 1
    assert not (out / "trials").exists()
    assert results.out == out


@pytest.mark.slow
def test_a_search_that_was_cut_off_goes_on(small, solar_cells, tmp_path):
    """Interrupted after its second trial."""
    clock = Seconds(lambda: len(read_trials(tmp_path / "trials.jsonl")) == 2)
    with pytest.raises(KeyboardInterrupt):
        search(str(solar_cells), *SEARCH, tmp_path, clock=clock)
    before = read_trials(tmp_path / "trials.jsonl")
    search(str(solar_cells), *SEARCH, tmp_path, clock=Seconds())
    trials = read_trials(tmp_path / "trials.jsonl")
    assert 1 <= len(before) < len(trials)
    assert trials[: len(before)] == before
    assert [trial.number for trial in trials] == list(range(len(trials)))
    assert len((tmp_path / "test_reads.jsonl").read_text().splitlines()) == 1


def test_cheap_trials_come_first(found):
    trials = read_trials(found[0] / "trials.jsonl")
    heads = list(itertools.takewhile(lambda trial: trial.is_probe, trials))
    views = [None, "horizontal", "flips"][: len(heads) - 1]
    assert [trial.settings.get("test_views") for trial in heads[:-1]] == views
    assert [trial.settings["fraction"] for trial in heads] == [1.0] * len(views) + [0.5]
    assert not any(trial.is_probe for trial in trials[len(heads) :])
    assert len(heads) < len(trials)


def test_what_is_shipped_is_the_best_on_validation_photos(found):
    out, _ = found
    finished = [trial for trial in read_trials(out / "trials.jsonl") if trial.outcome == "finished"]
    whole = [trial for trial in finished if trial.settings["fraction"] == 1]
    figures = json.loads((out / "experiments" / "best" / "seed-0" / "metrics.json").read_text())
    assert figures["val"]["accuracy"] == max(trial.accuracy for trial in whole)
    for trial in finished:
        assert trial.right.count("1") / len(trial.right) == pytest.approx(trial.accuracy)


def test_its_recipe_makes_the_same_model_again(found, tmp_path):
    out, _ = found
    unfreeze.run(out / "best.yaml", out=tmp_path / "again")
    run = "experiments/best/seed-0"
    for file in ("predictions.csv", "history.csv", "config.yaml"):
        assert (out / run / file).read_bytes() == (tmp_path / "again" / run / file).read_bytes()
    hashes = [json.loads((folder / run / "lineage.json").read_text()) for folder in (out, tmp_path / "again")]
    assert hashes[0]["weights_sha256"] == hashes[1]["weights_sha256"]
    assert len(rows(out / run / "predictions.csv")) == 20


def test_called_again_it_has_nothing_to_do(found, solar_cells):
    out, _ = found
    record = (out / "trials.jsonl").read_bytes()
    clock = Seconds()
    search(str(solar_cells), *SEARCH, out, clock=clock)
    assert (out / "trials.jsonl").read_bytes() == record
    assert clock.now == 1


@pytest.mark.parametrize(
    ("given", "named"),
    [({"epochs": 3}, "epochs"), ({"unfreeze": 0}, "unfreeze"), ({"seeds": 3, "name": "a"}, "seeds, name")],
)
def test_what_a_search_decides_itself_is_refused(given, named, solar_cells):
    with pytest.raises(RecipeError, match=f"it can't go with {named}. Leave that out"):
        unfreeze.train(solar_cells, minutes=1, **given)
    with pytest.raises(RecipeError, match="give more than 0"):
        unfreeze.train(solar_cells, minutes=0)


# Parts


def trial(number: int, right: str, loss: float, drawn: bool = True, fraction: float = 1.0) -> Trial:
    drawn_values = config.TRAIN_FIRST if drawn else {}
    settings = fine_tuning("n", fraction, drawn_values, 12) if drawn else probe("n", fraction)
    accuracy = right.count("1") / len(right)
    return Trial(number, settings, drawn_values, "finished", loss, accuracy, right, 10.0, 10.0 * number)


def test_the_outlook_says_whether_fine_tuning_is_worth_it():
    head, half = trial(0, "1" * 70 + "0" * 30, 0.6, drawn=False), trial(1, "1" * 66 + "0" * 34, 0.7, False, 0.5)
    better, same = trial(2, "1" * 90 + "0" * 10, 0.3), trial(2, "1" * 71 + "0" * 29, 0.6)
    first, *_, last = outlook([head, half, better], 10)
    assert first.startswith("Fine-tuning is worth it: +20.0 points")
    assert "right on 66.0%, on all of them on 70.0%: twice the photos would likely bring about as much again" in last
    assert outlook([head, half, same], 10)[0].startswith("Fine-tuning made no difference that shows: +1.0 points")
    assert "There was no time for fine-tuning in 2 minutes" in outlook([head, half], 2)[0]
    more = [head, half, better, replace(same, number=3), replace(same, number=4)]
    assert "2 trials after the best one were no better" in outlook(more, 10)[1]


@pytest.fixture
def begun(solar_cells, tmp_path, monkeypatch):
    """A search with 250 seconds left, in which features of all photos take 20."""
    raw = {"name": "cells", "data": {"source": str(solar_cells)}, "experiments": {"best": {}}}
    recipe = config.Recipe.model_validate(raw)
    photos = open_photos(recipe.data, resolve(recipe))
    monkeypatch.setattr(Search, "left", lambda self: 250.0)
    monkeypatch.setattr(Costs, "probe", lambda self, backbone, fraction: 20.0)
    return Search("cells", solar_cells, photos, SeriesFolder(tmp_path), 0.0, 300.0, lambda: 0.0, ["smaller", "larger"])


def test_another_network_is_looked_at_if_there_is_time_for_fine_tuning_it(begun, monkeypatch):
    tried = []
    monkeypatch.setattr(Search, "_usual", lambda self, backbone: config.TRAIN_FIRST)
    monkeypatch.setattr(Search, "_try", lambda self, settings, drawn: tried.append(seconds))
    for seconds in (240.0, 220.0):
        monkeypatch.setattr(Costs, "fine_tuning", lambda self, settings, seconds=seconds: seconds)
        begun._probe("larger")
    assert tried == [220.0]


@pytest.mark.parametrize(
    ("losses", "left", "tried", "chosen"),
    [
        ([0.5, 0.6], 2500.0, ["horizontal"], None),
        ([0.5, 0.49, 0.495], 2500.0, ["horizontal", "flips"], "horizontal"),
        ([0.5, 0.4, 0.3], 2500.0, ["horizontal", "flips"], "flips"),
        ([0.5, 0.4, 0.3], 250.0, ["horizontal"], "horizontal"),  # the others would take 40 seconds
        ([0.5, 0.4, 0.3], 150.0, [], None),
    ],
)
def test_mirrored_photos_are_fitted_to_while_that_helps(losses, left, tried, chosen, begun, monkeypatch):
    figures = iter(losses)

    def fit(self, settings, drawn):
        figure = trial(len(self.trials), "1", next(figures), drawn=False)
        self.trials.append(replace(figure, settings=settings))

    monkeypatch.setattr(Search, "_try", fit)
    monkeypatch.setattr(Search, "left", lambda self: left)
    begun._try(probe("n", 1.0), {})
    begun.trials.append(replace(trial(1, "1", 0.48, drawn=False), settings=probe("larger", 1.0)))
    begun._probe_views("n")
    assert [each.settings["test_views"] for each in begun.trials[2:]] == tried
    assert begun._test_views == chosen
    begun._probe_views("n")  # as a search that goes on does
    assert len(begun.trials) == len(tried) + 2


@pytest.mark.parametrize(
    ("outcome", "rate", "next_rate"),
    [
        ("finished", 3e-4, 1e-3),
        ("out of time", 3e-4, 3e-4),
        ("diverged", 3e-4, 1e-4),
        ("diverged", 1e-4, None),
        ("stopped", 3e-4, None),
    ],
)
def test_what_follows_a_trial_follows_it_after_a_break_too(outcome, rate, next_rate, begun, monkeypatch):
    tried: list[float] = []

    def tune(self, settings, drawn, asked):
        tried.append(drawn["learning_rate"])
        state = "finished" if len(tried) > 1 else outcome
        loss = 0.4 if state == "finished" else None
        self.trials.append(replace(trial(len(self.trials), "1", 0.4), drawn=drawn, outcome=state, loss=loss))
        return self.trials[-1]

    monkeypatch.setattr("unfreeze.series.search.PATIENCE", 3)
    monkeypatch.setattr(Search, "_try", tune)
    monkeypatch.setattr(Search, "_depths", lambda self, backbone: [2, 10, ALL])
    monkeypatch.setattr(Search, "_usual", lambda self, backbone: {**config.TRAIN_FIRST, "learning_rate": rate})
    for step in ("_probe_views", "_probe_half"):
        monkeypatch.setattr(Search, step, lambda self, backbone: None)
    usual, head = {**config.TRAIN_FIRST, "learning_rate": rate}, trial(0, "1", 0.5, drawn=False)
    record = replace(trial(1, "1", 0.4), drawn=usual, outcome=outcome, loss=0.4 if outcome == "finished" else None)

    def go(trials: list[Trial], count: int) -> list[float]:
        left = [8] * count
        monkeypatch.setattr(Search, "_epochs", lambda self, backbone, drawn: left.pop() if left else 0)
        begun.__post_init__()
        begun.backbones, begun.trials = ["n"], trials
        tried.clear()
        begun.go()
        return [*tried]

    first, second = go([head], 2)
    [after_a_break] = go([head, record], 1)
    assert first == rate
    if next_rate:
        assert [second, after_a_break] == pytest.approx([next_rate, next_rate])
    else:
        assert not {rate, 1e-4, 1e-3} & {second, after_a_break}


class Asked:
    """Optuna's trial, which is worse than others from a percentage of its epochs on."""

    def __init__(self, worse_from: int = 200):
        self.worse_from, self.step = worse_from, 0

    def report(self, loss: float, step: int) -> None:
        self.step = step

    def should_prune(self) -> bool:
        return self.step >= self.worse_from


@pytest.mark.parametrize(("planned", "fits"), [(8, True), (10, False)])
def test_a_trial_that_will_take_too_long_ends_after_two_epochs(planned, fits):
    seconds = iter([0, 0, 0, 20, 30])  # the first epoch takes 20 seconds, all others 10
    watch = Watch(lambda: next(seconds), 100, planned, Asked())
    watch.on_train_begin()
    watch.on_epoch_end(0, {"loss": 1.0, "val_loss": 1.0})
    with nullcontext() if fits else pytest.raises(Ended, match="out of time"):
        watch.on_epoch_end(1, {"loss": 1.0, "val_loss": 1.0})


def test_a_trial_that_is_worse_than_others_were_is_stopped():
    watch = Watch(lambda: 0.0, 100, 8, Asked(worse_from=25))
    watch.on_train_begin()
    watch.on_epoch_end(0, {"loss": 0.5, "val_loss": 0.5})
    with pytest.raises(Ended, match="stopped"):
        watch.on_epoch_end(1, {"loss": 0.5, "val_loss": 0.5})


@pytest.mark.parametrize(
    ("losses", "diverges"),
    [([0.7, 0.6, 0.7], True), ([0.7, 0.5, 0.4], False), ([0.7, float("nan")], True)],  # the first epoch may be worse
)
def test_a_trial_that_knows_no_more_than_the_classes_shares_is_stopped(losses, diverges):
    shares = chance(np.array([0, 2, 2, 2]))
    assert shares == pytest.approx(-0.25 * math.log(0.25) - 0.75 * math.log(0.75))
    watch = Watch(lambda: 0.0, 100, 8, Asked(), chance=0.65)
    watch.on_train_begin()
    for epoch, loss in enumerate(losses[:-1]):
        watch.on_epoch_end(epoch, {"loss": loss, "val_loss": 1.0})
    with pytest.raises(Ended, match="diverged") if diverges else nullcontext():
        watch.on_epoch_end(len(losses), {"loss": losses[-1], "val_loss": 1.0})
    watch.on_train_begin()  # of the next phase
    watch.on_epoch_end(0, {"loss": 9.0, "val_loss": 1.0})


@pytest.mark.parametrize(("losses", "chosen"), [([0.5, 0.48, 0.476], "a"), ([0.5, 0.48, 0.45], "c"), ([0.5, 0.4], "b")])
def test_a_larger_network_must_be_better_by_more_than_a_little(losses, chosen, begun):
    heads = [trial(number, "1", loss, drawn=False) for number, loss in enumerate(losses)]
    begun.trials = [
        replace(head, settings=probe(name, 1.0)) for head, name in zip(heads, "abc"[: len(heads)], strict=True)
    ]
    assert begun._network() == chosen


def test_a_record_that_was_cut_off_in_a_line_is_read_to_there(tmp_path):
    trials = [trial(0, "101", 0.5, drawn=False), trial(1, "111", 0.4)]
    write_trials(tmp_path / "trials.jsonl", trials)
    assert read_trials(tmp_path / "trials.jsonl") == trials
    text = (tmp_path / "trials.jsonl").read_text()
    (tmp_path / "trials.jsonl").write_text(text[:-40])
    assert read_trials(tmp_path / "trials.jsonl") == trials[:1]
    assert read_trials(tmp_path / "nowhere") == []


def test_the_pace_is_learned():
    pace = Pace(forward=1e10)
    guessed = pace.seconds(100, 2, 10, "n all", (10**8, 10**8))
    assert guessed == pytest.approx(25 + 8 + 100 * (2 * 0.01 + 10 * 3 * 0.02))
    pace.learn("n all", 100, [9.0, 2.0, 4.0, 2.0], before=12.0, after=3.0)
    assert pace.seconds(100, 2, 10, "n all", (10**8, 10**8)) == pytest.approx(12 + 3 + 100 * (2 * 0.01 + 10 * 0.02))
    pace.learn("n all", 100, [9.0, 2.0], before=12.0, after=None)  # a trial that was stopped
    assert pace.end == 3


def test_all_that_can_be_drawn_is_a_recipe():
    assert depths_of(16) == [2, 5, 10, 0]
    assert depths_of(3) == [2, 0]
    for blocks in (2, 0):
        for augment in AUGMENTATIONS:
            drawn = {**config.TRAIN_FIRST, "blocks": blocks, "augment": augment}
            raw = {"name": "a", "experiments": {"best": fine_tuning("efficientnet_lite0", 1.0, drawn, 4)}}
            recipe = config.Recipe.model_validate(yaml.safe_load(yaml.safe_dump(raw)), strict=False)
            [phase, tuned] = recipe.experiments["best"].phases or ()
            assert (phase.solver, tuned.epochs) == ("lbfgs", 4)
