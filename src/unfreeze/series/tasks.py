"""What running a series consists of, task by task, and what each of them needs to be done before.

    Extract    frozen layers run on a part of the photos; only where there are many processes to share them out to
    Train      an experiment with a seed; needs its parent, and what was extracted for it
    Test       a split's test photos, once; needs everything trained
    Conclude   all figures and a look at the photos; needs everything tested

A task is plain data, and what it makes lies in OUT and in the cache. So it can be done in this process (`Here`), or in
any that sees both folders (`on_ray.py`), and whoever does it again finds what is finished there.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from unfreeze.ahead.filling import Filling
from unfreeze.ahead.process import running_ahead
from unfreeze.config import AnyExperiment, AsIs, Experiment
from unfreeze.data.cache_size import ensure_room
from unfreeze.data.catalog import Catalog
from unfreeze.data.items import Source
from unfreeze.data.test_reads import FINAL, SPLIT, VALIDATION, record_test_read
from unfreeze.errors import RunError
from unfreeze.features.activations import Activations
from unfreeze.features.frozen import FrozenLayers
from unfreeze.progress import say
from unfreeze.series.as_is import write_as_is
from unfreeze.series.division import Division, network_of
from unfreeze.series.experiment import train_experiment
from unfreeze.series.extract import extract, known_rows
from unfreeze.series.folders import RunFolder, SeriesFolder
from unfreeze.series.lineage import find_parent
from unfreeze.series.photo_checks import check_photos, rows_to_check
from unfreeze.series.photos import SeriesPhotos, describe, read_photos
from unfreeze.series.plan import run_bytes
from unfreeze.series.recipe import parent_name
from unfreeze.series.results import trained_runs, write_results
from unfreeze.series.test_set import evaluate_on_test
from unfreeze.training.custom import Custom


@dataclass(frozen=True)
class Extract:
    """Frozen layers run on a part of the photos that an experiment trains and is validated on.

    Attributes:
        experiment: its name.
        split_seed: names the split.
        part: from 1 to `parts`; 0 are a few photos with which the layers are exported, before all other parts.
        parts: how many there are.
    """

    experiment: str
    split_seed: int
    part: int
    parts: int


@dataclass(frozen=True)
class Train:
    """One experiment with one seed on one split."""

    experiment: str
    seed: int
    split_seed: int


@dataclass(frozen=True)
class Test:
    """The test photos of a split, for all runs that were not tested on them."""

    __test__ = False  # or pytest takes it for a class of tests

    split_seed: int


@dataclass(frozen=True)
class Conclude:
    """All figures put together, and a look at the photos."""


Task = Extract | Train | Test | Conclude
Step = tuple[Task, Sequence[Task]]
"""A task, and those that must be done before."""


@dataclass(frozen=True)
class Series:
    """What all tasks of a series share.

    Attributes:
        name: the recipe's.
        experiments: those to run, by name, parents first.
        trained: all of the recipe that train anything; they share what frozen layers make of photos.
        left_out: experiments that can't be run with these photos, with reasons.
        splits: the photos on every split, by split seed.
        folder: OUT.
        frozen: engines and cache.
        custom: the caller's own parts of training.
    """

    name: str
    experiments: Mapping[str, AnyExperiment]
    trained: Sequence[Experiment]
    left_out: dict[str, str]
    splits: Mapping[int, SeriesPhotos]
    folder: SeriesFolder
    frozen: FrozenLayers
    custom: Custom

    def run(self, task: Train) -> RunFolder:
        """Give the folder that a training writes to."""
        return self.folder.run(task.experiment, task.seed, task.split_seed)

    def path(self, task: Train) -> str:
        """Give that folder as a path from OUT."""
        return self.run(task).path.relative_to(self.folder.path).as_posix()

    def reopened(self) -> "Series":
        """Give the same with the photos' pixels looked up anew: another process may have added some."""
        return replace(self, splits={seed: photos.reopened() for seed, photos in self.splits.items()})


def tasks(series: Series, parts: int) -> Iterator[Step]:
    """Give the tasks of a series in an order in which they can be done one by one; what is trained already is left out.

    Args:
        series: what is to be run.
        parts: how many the photos are shared out to for extraction; with 0 each training runs its frozen layers itself.
    """
    trainings: list[Task] = []
    before: dict[int, Task] = {}
    for split_seed, photos in series.splits.items():
        for name, experiment in series.experiments.items():
            if name in series.left_out:
                say(f"{name}: {series.left_out[name]}")
                continue
            extractions: list[Task] = []
            for seed in experiment.seeds:
                training = Train(name, seed, split_seed)
                title = f"{name}, {series.run(training).title}"
                if series.run(training).is_trained:
                    say(f"{title}: already trained")
                    continue
                ensure_room(series.folder.path, run_bytes(experiment), f"{title},")
                if photos.validation == "test" and isinstance(experiment, Experiment):
                    reads = series.folder.test_reads
                    record_test_read(reads, VALIDATION, [series.path(training)], len(photos.splits.test))
                if isinstance(experiment, Experiment) and parts and not extractions:
                    for part in range(parts + 1):
                        extraction = Extract(name, split_seed, part, parts)
                        # One experiment after the other, so that no row that two of them need is computed twice
                        yield extraction, [*extractions[:1], *([before[part]] if part in before else [])]
                        before[part] = extraction
                        extractions.append(extraction)
                parent = Train(parent_name(experiment) or "", seed, split_seed)
                yield training, [*extractions, *([parent] if parent in trainings else [])]
                trainings.append(training)
    if not trainings and not trained_runs(series.folder):
        why = " ".join(f"{name} is {reason}." for name, reason in series.left_out.items())
        raise RunError(f"There is nothing to show: {why}")
    tests: list[Task] = []
    for split_seed in series.splits:
        yield Test(split_seed), [*trainings, *tests]
        tests.append(Test(split_seed))
    yield Conclude(), tests


def execute(task: Task, series: Series) -> Sequence[str]:
    """Do a task, or what is left of it; gives the paths from OUT of runs of which something is to be drawn."""
    match task:
        case Extract(name, split_seed, part, parts):
            experiment = series.experiments[name]
            assert isinstance(experiment, Experiment)
            division = Division(experiment, series.trained, series.frozen)
            extract(division, series.experiments, series.splits[split_seed], part, parts)
            return []
        case Train():
            return _train(task, series)
        case Test(split_seed):
            return _test(split_seed, series)
        case Conclude():
            photos = next(iter(series.splits.values()))
            write_results(series.folder, describe(photos), series.left_out)
            if series.trained:
                check_photos(series.folder, photos, series.trained, series.frozen)
            return []


def _train(task: Train, series: Series) -> Sequence[str]:
    run, experiment, photos = series.run(task), series.experiments[task.experiment], series.splits[task.split_seed]
    if run.is_trained:  # by a process that died before it could say so
        return [series.path(task)]
    if isinstance(experiment, AsIs):
        write_as_is(experiment, photos, run)
        return []
    division = Division(experiment, series.trained, series.frozen)
    siblings = {name: series.folder.run(name, task.seed, task.split_seed) for name in series.experiments}
    parent = find_parent(experiment.start_from, siblings) if experiment.start_from else None
    events = series.folder.events(run)
    train_experiment(experiment, task.seed, parent, photos, division, run, events, series.custom)
    return [series.path(task)]


def _test(split_seed: int, series: Series) -> Sequence[str]:
    of_split = [run for run in trained_runs(series.folder) if run.split_seed == split_seed]
    why = f"{FINAL}{series.name}{f'{SPLIT}{split_seed}' if split_seed else ''}"
    return evaluate_on_test(of_split, series.splits[split_seed], series.trained, series.frozen, series.folder, why)


class Runner(Protocol):
    """Does a series' tasks somewhere."""

    parts: int
    """To how many parts photos are shared out for extraction; 0 where there is one process."""

    def read(self, source: Source, image_size: int, resize: str) -> Catalog:
        """Read all files of a source, and put their pixels into the store of this size."""
        ...

    def run(self, steps: Iterable[Step], series: Series) -> set[str]:
        """Do all tasks; gives what they give."""
        ...


class Here:
    """Does tasks in this process, one after the other."""

    parts = 0

    def read(self, source: Source, image_size: int, resize: str) -> Catalog:
        """Read all files of a source."""
        return read_photos(source, image_size, resize)

    def run(self, steps: Iterable[Step], series: Series) -> set[str]:
        """Do all tasks in their order; what the processor has left runs frozen layers ahead of them."""
        changed: set[str] = set()
        announced = set[object]()
        with running_ahead() as ahead:
            for task, _ in steps:
                if isinstance(task, Train) and isinstance(first := series.experiments[task.experiment], Experiment):
                    network = network_of(first), task.split_seed
                    if network not in announced:
                        ahead.give(list(fillings(series, first, task.split_seed)))
                        announced.add(network)
                changed.update(execute(task, series))
        return changed


def fillings(series: Series, first: Experiment, split_seed: int) -> Iterator[Filling]:
    """Give what frozen layers will be run on by all experiments of a network that are not trained yet, on one split."""
    for rows in _known_rows(series, first, split_seed):
        if isinstance(rows, Activations) and (filling := rows.ahead()):
            yield filling


def _known_rows(series: Series, first: Experiment, split_seed: int) -> Iterator[object]:
    photos = series.splits[split_seed]
    for name, experiment in series.experiments.items():
        if not isinstance(experiment, Experiment) or network_of(experiment) != network_of(first):
            continue
        if not all(series.run(Train(name, seed, split_seed)).is_trained for seed in experiment.seeds):
            division = Division(experiment, series.trained, series.frozen)
            train, val = photos.splits.train(experiment.fraction), photos.splits.val
            yield from known_rows(division, series.experiments, photos, train, val)
    if photos is next(iter(series.splits.values())) and network_of(series.trained[0]) == network_of(first):
        yield from rows_to_check(series.folder, photos, series.trained, series.frozen)
