"""`unfreeze train --minutes`: trials on validation photos, the cheap ones first, and the best of them to ship.

Every trial is an ordinary experiment named `best`, trained by the product's own path in a folder of its own below
`OUT/trials`. The winner's folder moves to `OUT/experiments/best`; then the series is finished as any other, which reads
the test photos once. What was tried is on record in `OUT/trials.jsonl`, and a search that was cut off goes on from it.
"""

import math
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import optuna

from unfreeze import config
from unfreeze.config import Experiment, Recipe
from unfreeze.data.cache_folder import cache_folder
from unfreeze.data.checkup import ensure_usable
from unfreeze.data.turned import VIEWS
from unfreeze.errors import BackboneError, LayerError, RunError
from unfreeze.features.frozen import FrozenLayers
from unfreeze.models.backbones import default_image_size, pretrained_backbone
from unfreeze.models.blocks import find_blocks
from unfreeze.progress import say
from unfreeze.report.results import Results
from unfreeze.seals import read_sealed
from unfreeze.series.costs import Costs
from unfreeze.series.division import Division
from unfreeze.series.experiment import train_experiment
from unfreeze.series.folders import SeriesFolder
from unfreeze.series.lock import held
from unfreeze.series.outlook import outlook
from unfreeze.series.photos import SeriesPhotos, open_photos
from unfreeze.series.recipe import check_recipe, resolve, write_recipe
from unfreeze.series.run import run
from unfreeze.series.search_space import ALL, LEAST_RATE, depths_of, draw, fine_tuning, probe
from unfreeze.series.trials import HEADINGS, Trial, best_of, read_trials, row, write_trials
from unfreeze.series.watch import Ended, Watch, chance
from unfreeze.training.custom import Custom

BEST = "best"
"""Name of the experiment that a search ships."""

FEWEST_EPOCHS = 3
"""A fine-tuning for which there isn't time for so many is not begun."""

VIEWS_SHARE = 0.1
"""Heads are fitted to mirrored photos, too, as long as that takes no more than this share of what is left."""

LARGER_GAIN = 0.05
"""A larger network is taken if its head's loss is lower by this share: in the same time it learns fewer epochs."""

HIGHER_RATE = 1e-3
"""Learning rate that follows the usual one: photos that are unlike ImageNet's (solar cells) learn more with it."""

PATIENCE = 6
"""A search ends when so many trials in a row brought nothing better."""

PROBING_SHARE = 0.25
"""No further network is looked at after this share of the time."""

MARGIN = 0.9
"""A fine-tuning gets as many epochs as there is time for in this share of what is left."""

FINISH = 15.0
"""Seconds for pictures, report and what else comes after the last trial, beside the test photos themselves."""


def search(
    data: str | Path,
    minutes: float,
    series: str,
    backbones: Sequence[str],
    out: str | Path | None = None,
    force: bool = False,
    allow_bad: bool = False,
    clock: Callable[[], float] = time.monotonic,
) -> Results:
    """Search for the best model that can be had in some minutes, and train it.

    Args:
        data: as in `train`.
        minutes: for everything.
        series: name of the series.
        backbones: networks to try, the cheapest first.
        out: as in `train`.
        force: throw away what `out` holds of an earlier search.
        allow_bad: go on even if many files can't be used.
        clock: gives seconds.

    Raises:
        UnfreezeError: one of its kinds.
    """
    began = clock()
    recipe = _recipe(series, data, probe(backbones[0], 1.0))
    folder = SeriesFolder(Path(out) if out else Path("runs", series))
    shipped = folder.path / "best.yaml"
    if force:
        with held(folder.path):
            folder.discard([BEST])
            shutil.rmtree(folder.path / "trials", ignore_errors=True)
            for file in (shipped, folder.path / "trials.jsonl"):
                file.unlink(missing_ok=True)
    if not folder.run(BEST, 0).is_trained:
        photos = open_photos(recipe.data, resolve(recipe))
        ensure_usable(photos.catalog, photos.splits, allow_bad)
        if not photos.splits.val:
            raise RunError(
                "A search chooses by validation photos, and there are none. Give more photos, or a `val` folder beside "
                "`train` and `test`; without --minutes one experiment is trained without them."
            )
        with held(folder.path):
            search = Search(series, data, photos, folder, began, 60 * minutes, clock, list(backbones))
            search.go()
            search.publish()
    results = run(shipped, out=folder.path, only=[BEST], allow_bad=allow_bad)
    for line in outlook(read_trials(folder.path / "trials.jsonl"), minutes):
        say(line)
    return results


def _recipe(series: str, data: str | Path, settings: dict[str, Any]) -> Recipe:
    return check_recipe({"name": series, "data": {"source": str(data)}, "experiments": {BEST: settings}}, "The call")


@dataclass
class Search:
    """A search that goes on: what was tried, what is left of the time, and the best so far."""

    series: str
    data: str | Path
    photos: SeriesPhotos
    folder: SeriesFolder
    began: float
    seconds: float
    clock: Callable[[], float]
    backbones: list[str]
    trials: list[Trial] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Take up the record of a search that was cut off."""
        self.trials = read_trials(self._record)
        if self.trials:
            self.began -= self.trials[-1].at
            say(f"Going on after {len(self.trials)} trials and {self.trials[-1].at:.0f} seconds")
        self._frozen = FrozenLayers(cache_folder())
        self.costs = Costs(self.photos.splits)
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.study = optuna.create_study(
            sampler=optuna.samplers.TPESampler(seed=len(self.trials), n_startup_trials=5, multivariate=True),
            pruner=optuna.pruners.MedianPruner(n_startup_trials=1, n_warmup_steps=30),
        )

    # The order of trials

    def go(self) -> None:
        """Try what there is time for."""
        if not self._finished:
            say(HEADINGS)
        for backbone in self.backbones:
            if not any(trial.is_probe and trial.settings["backbone"] == backbone for trial in self._finished):
                self._probe(backbone)
            if self.clock() - self.began > PROBING_SHARE * self.seconds:
                break
        backbone = self._network()
        self._probe_views(backbone)
        self._probe_half(backbone)
        depths = self._depths(backbone)
        before = [trial for trial in self.trials if trial.drawn and trial.drawn["blocks"] in depths]
        for trial in before:
            self._tell_again(trial, depths)
        self.study.enqueue_trial(self._usual(backbone), skip_if_exists=True)
        if before:
            self._follow_up(before[-1])
        while self._since_best() < PATIENCE:
            asked = self.study.ask()
            drawn = draw(asked, depths)
            epochs = self._epochs(backbone, drawn)
            if epochs < FEWEST_EPOCHS and (shallower := [depth for depth in depths if depth != ALL]):
                drawn["blocks"] = shallower[0]  # there isn't time for deeper ones
                epochs = self._epochs(backbone, drawn)
            if epochs < FEWEST_EPOCHS:
                break
            trial = self._try(fine_tuning(backbone, self._fraction, drawn, epochs, self._test_views), drawn, asked)
            self.study.tell(asked, trial.loss, state=_state(trial))
            self._follow_up(trial)

    def _probe(self, backbone: str) -> None:
        """Fit a head on a network's features; of a further one only if there is time for fine-tuning it afterwards."""
        if backbone == self.backbones[0]:
            self._limit_photos(backbone)
        elif not self._fits_in(backbone):
            return
        self._try(probe(backbone, self._fraction), {})

    def _network(self) -> str:
        """Choose the network with the best head; a larger one must be better by more than a little."""
        first, *others = (trial for trial in self._probes if "test_views" not in trial.settings)
        for other in others:
            if (other.loss or 0.0) < (1 - LARGER_GAIN) * (first.loss or 0.0):
                first = other
        return first.settings["backbone"]

    def _limit_photos(self, backbone: str) -> None:
        """Take a share of the photos where there isn't time for all."""
        needed = self.costs.probe(backbone, self._fraction)
        if needed > 0.5 * self.left():
            photos = len(self.photos.splits.train(1.0))
            affordable = max(0.4 * self.left(), 1.0) / needed
            self._share = max(math.ceil(100 * affordable), 1) / 100 if affordable < 1 else 1.0
            say(f"There isn't time for all {photos:,} photos: {self._share:.0%} of them are trained on")

    def _fits_in(self, backbone: str) -> bool:
        """Say whether there is time for a network's head and its usual fine-tuning, and its weights can be had."""
        try:
            needed = self.costs.probe(backbone, self._fraction)
        except BackboneError as error:
            say(f"{backbone} is left out. {error}")
            return False
        usual = fine_tuning(backbone, self._fraction, self._usual(backbone), self._usual_epochs())
        return needed + self.costs.fine_tuning(usual) <= self.left()

    def _probe_views(self, backbone: str) -> None:
        """Fit the head to mirrored photos too, and if that was better to photos upside down."""
        for test_views in ("horizontal", "flips"):
            settings = probe(backbone, self._fraction, test_views)
            if not any(trial.settings == settings for trial in self._finished):
                # half of the views are new, each of all photos
                if VIEWS[test_views] / 2 * self.costs.probe(backbone, self._fraction) > VIEWS_SHARE * self.left():
                    break
                self._try(settings, {})
            if self._test_views != test_views:
                break

    def _probe_half(self, backbone: str) -> None:
        """Fit the head on half of the photos too, which tells what twice as many would bring."""
        settings = probe(backbone, self._fraction / 2, self._test_views)
        if self.left() > 20 and not any(trial.settings == settings for trial in self.trials):
            self._try(settings, {})

    def _epochs(self, backbone: str, drawn: dict[str, Any]) -> int:
        """Give the epochs that a fine-tuning would have: as many as usual, or as there is time for."""
        left = MARGIN * self.left()
        fitting = (
            epochs
            for epochs in range(self._usual_epochs(), FEWEST_EPOCHS - 1, -1)
            if self.costs.fine_tuning(fine_tuning(backbone, self._fraction, drawn, epochs)) < left
        )
        return next(fitting, 0)

    def _usual_epochs(self) -> int:
        return config.train_epochs(len(self.photos.splits.train(self._fraction)))

    def left(self) -> float:
        """Seconds left for trials, so that there is time for the test photos and the report at the end."""
        test = self.costs.test(self.backbones[0], VIEWS[self._test_views])
        return self.began + self.seconds - self.clock() - FINISH - 1.5 * test

    def _depths(self, backbone: str) -> list[int]:
        count = len(find_blocks(pretrained_backbone(backbone, default_image_size(backbone))))
        if not count:
            raise LayerError(f"{backbone} has no blocks that its layers' names tell, so its depth can't be searched.")
        return depths_of(count)

    def _usual(self, backbone: str) -> dict[str, Any]:
        """Give what `unfreeze train` does without `--minutes`, as if drawn; less deep in a small network."""
        depths, blocks = self._depths(backbone), config.TRAIN_FIRST["blocks"]
        return {**config.TRAIN_FIRST, "blocks": blocks if blocks in depths else depths[0]}

    # Trials

    def _try(self, settings: dict[str, Any], drawn: dict[str, Any], asked: Any = None) -> Trial:
        """Train one trial and put it on record."""
        number, began = len(self.trials), self.clock()
        [experiment] = resolve(_recipe(self.series, self.data, settings))
        assert isinstance(experiment, Experiment)
        place = SeriesFolder(self._folder(number))
        shutil.rmtree(place.path, ignore_errors=True)
        target, outcome, right = place.run(BEST, 0), "finished", ""
        epochs = settings["phases"][-1]["epochs"] if drawn else 0
        deadline = self.clock() + self.left() if drawn else math.inf
        labels = self.photos.labels(self.photos.splits.train(experiment.fraction))
        watch = Watch(self.clock, deadline, epochs, asked, chance(labels))
        division = Division(experiment, [experiment], self._frozen)
        try:
            hits = train_experiment(
                experiment, 0, None, self.photos, division, target, place.events(target), Custom(), [watch]
            )
            right = "".join("1" if hit else "0" for hit in hits)
        except Ended as end:
            outcome = str(end)
        now = self.clock()
        if drawn:
            before, after = watch.around(began, now)
            self.costs.learn_fine_tuning(settings, watch.epochs, before, after if outcome == "finished" else None)
        elif outcome == "finished":
            self.costs.learn_probe(settings, read_sealed(target.metrics)["seconds"]["features"])
        figures = read_sealed(target.metrics)["val"] if outcome == "finished" else {"loss": None, "accuracy": None}
        trial = Trial(
            number,
            settings,
            drawn,
            outcome,
            figures["loss"],
            figures["accuracy"],
            right,
            round(now - began, 1),
            round(now - self.began, 1),
        )
        self.trials.append(trial)
        write_trials(self._record, self.trials)
        say(f"{row(trial)}; {max(self.left(), 0):.0f} s left")
        self._discard_others()
        return trial

    def _discard_others(self) -> None:
        """Delete the folders of all trials but the best head and the best fine-tuning."""
        kept = {best_of(group).number for group in (self._probes, self._tuned) if group}
        for trial in self.trials:
            if trial.number not in kept:
                shutil.rmtree(self._folder(trial.number), ignore_errors=True)

    def _tell_again(self, trial: Trial, depths: list[int]) -> None:
        """Tell Optuna of a trial on record."""
        space = {**_distributions(), "blocks": optuna.distributions.CategoricalDistribution(depths)}
        told = optuna.trial.create_trial(params=trial.drawn, distributions=space, value=trial.loss, state=_state(trial))
        self.study.add_trial(told)

    def _follow_up(self, trial: Trial) -> None:
        """Ask for what comes next after the usual trial, or one that had too many epochs or too high a rate."""
        if trial.outcome == "out of time":
            self.study.enqueue_trial(trial.drawn)  # its pace is known now, and with it how many there is time for
        elif trial.outcome == "diverged" and trial.drawn["learning_rate"] > LEAST_RATE:
            lower = max(trial.drawn["learning_rate"] / 3, LEAST_RATE)
            self.study.enqueue_trial({**trial.drawn, "learning_rate": lower})
        elif trial.outcome == "finished" and trial.drawn == self._usual(trial.settings["backbone"]):
            self.study.enqueue_trial({**trial.drawn, "learning_rate": HIGHER_RATE})

    # The best

    @property
    def _record(self) -> Path:
        return self.folder.path / "trials.jsonl"

    def _folder(self, number: int) -> Path:
        return self.folder.path / "trials" / str(number)

    @property
    def _finished(self) -> list[Trial]:
        return [trial for trial in self.trials if trial.outcome == "finished"]

    @property
    def _probes(self) -> list[Trial]:
        """The heads on all photos."""
        return [trial for trial in self._finished if trial.is_probe and trial.settings["fraction"] == self._fraction]

    @property
    def _tuned(self) -> list[Trial]:
        return [trial for trial in self._finished if not trial.is_probe]

    _share: float = 1.0

    @property
    def _fraction(self) -> float:
        shares = [trial.settings["fraction"] for trial in self.trials if trial.is_probe]
        return max(shares, default=self._share)

    @property
    def _test_views(self) -> str | None:
        """The views of a photo with which the chosen network's head is best."""
        if not self._probes:
            return None
        heads = [trial for trial in self._probes if trial.settings["backbone"] == self._network()]
        return best_of(heads).settings.get("test_views")

    def _since_best(self) -> int:
        """Count the fine-tunings since the best one."""
        tuned = [trial for trial in self.trials if trial.drawn]
        if not self._tuned:
            return len(tuned)
        return sum(trial.number > best_of(self._tuned).number for trial in tuned)

    def winner(self) -> Trial:
        """Choose between the best head and the best fine-tuning by accuracy, and of equals by the loss."""
        best = [best_of(group) for group in (self._probes, self._tuned) if group]
        return max(best, key=lambda trial: (trial.accuracy or 0.0, -(trial.loss or 0.0)))

    def publish(self) -> None:
        """Give the winner its place in OUT, and write the recipe that makes it again."""
        winner = self.winner()
        recipe = _recipe(self.series, self.data, winner.settings)
        shipped = self.folder.path / "best.yaml"
        shipped.unlink(missing_ok=True)
        write_recipe(shipped, recipe, resolve(recipe))
        place = SeriesFolder(self._folder(winner.number))
        source, target = place.run(BEST, 0), self.folder.run(BEST, 0)
        for before, after in ((place.events(source), self.folder.events(target)), (source.path, target.path)):
            shutil.rmtree(after, ignore_errors=True)
            after.parent.mkdir(parents=True, exist_ok=True)
            if before.is_dir():
                before.replace(after)
        shutil.rmtree(self.folder.path / "trials", ignore_errors=True)


def _state(trial: Trial) -> optuna.trial.TrialState:
    """Say how a trial ended, as Optuna has it."""
    states = {"finished": optuna.trial.TrialState.COMPLETE, "out of time": optuna.trial.TrialState.FAIL}
    return states.get(trial.outcome, optuna.trial.TrialState.PRUNED)


def _distributions() -> dict[str, Any]:
    """Give the search space as Optuna keeps it."""
    study = optuna.create_study()
    asked = study.ask()
    draw(asked, [ALL])
    return dict(asked.distributions)
