"""A whole series: from a recipe and a folder of photos to trained models and their comparison."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from unfreeze.config import AnyExperiment, AsIs, Experiment, Recipe
from unfreeze.data.cache_folder import cache_folder
from unfreeze.data.cache_size import ensure_room
from unfreeze.data.catalog import write_bad_files
from unfreeze.data.checkup import ensure_usable
from unfreeze.data.test_reads import FINAL, SPLIT, VALIDATION, record_test_read
from unfreeze.errors import RecipeError, RunError
from unfreeze.features.frozen import FrozenLayers
from unfreeze.progress import say
from unfreeze.report.page import write_report
from unfreeze.report.pictures import save_pictures
from unfreeze.report.results import Results, load_results
from unfreeze.report.side_by_side import side_by_side
from unfreeze.seals import REMEDY, damage
from unfreeze.series.as_is import fit_class_maps, write_as_is
from unfreeze.series.division import Division
from unfreeze.series.experiment import train_experiment
from unfreeze.series.folders import RunFolder, SeriesFolder, read_yaml
from unfreeze.series.lineage import ensure_same, find_parent, settings
from unfreeze.series.lock import held
from unfreeze.series.photo_checks import check_photos
from unfreeze.series.photos import SeriesPhotos, describe, open_photos
from unfreeze.series.plan import check_layers, run_bytes
from unfreeze.series.recipe import complete_recipe, parent_name, resolve, write_recipe
from unfreeze.series.results import trained_runs, write_results
from unfreeze.series.test_set import evaluate_on_test
from unfreeze.training.custom import Custom


def run(
    recipe: str | Path | Recipe,
    data: str | Path | None = None,
    out: str | Path | None = None,
    seeds: int | None = None,
    only: Sequence[str] = (),
    overrides: Iterable[str] = (),
    force: bool = False,
    allow_bad: bool = False,
    callbacks: Sequence[Any] = (),
    optimizer: Any = None,
    loss: Any = None,
    head: Callable[[Any], Any] | None = None,
) -> Results:
    """Run what isn't there yet of a series; called again, it goes on where it stopped.

    Args:
        recipe: a YAML file, the name of a shipped recipe, or a `Recipe`.
        data: photos to use in place of the recipe's.
        out: folder for everything that is written (default: `runs/NAME`).
        seeds: run each experiment with the seeds 0 to `seeds` - 1 in place of the recipe's.
        only: names of the experiments to run; parents that are missing are run too.
        overrides: `KEY=VALUE` each, as `--set` takes them.
        force: throw away what `out` holds of these experiments and start over.
        allow_bad: go on even if many files can't be used.
        callbacks: your own Keras callbacks, for every experiment. They see the part of the model that is trained.
        optimizer: your own in place of Adam: a Keras optimizer, whose settings serve each phase with the phase's
            learning rate, or a function from learning rate to optimizer.
        loss: your own in place of sparse categorical crossentropy; without `sparse` in its name it gets one-hot rows.
        head: a function from features [batch, channels] to probabilities [batch, classes], in place of one dense layer.

    Returns:
        The results of everything that stands in `out`.

    Raises:
        UnfreezeError: one of its kinds; the message says what is wrong and what to do.
    """
    custom = Custom(callbacks, optimizer, loss, head)
    recipe = complete_recipe(recipe, data, seeds, overrides)
    series = resolve(recipe)
    chosen = with_parents(series, only)
    check_layers(chosen)
    ensure_solvable(chosen, custom)
    folder = SeriesFolder(Path(out) if out else Path("runs", recipe.name))

    photos = open_photos(recipe.data, chosen)
    series, left_out = fit_class_maps(series, photos.classes, own_photos=data is None)
    experiments = with_parents(series, only)
    splits = [photos.dealt(split_seed) for split_seed in recipe.split_seeds]
    with held(folder.path):
        if force:
            if not only and not any(each.splits.are_in(folder.splits(each.splits.split_seed)) for each in splits):
                folder.test_reads.unlink(missing_ok=True)  # of other photos
            folder.discard([experiment.name for experiment in experiments] if only else None)
        runs = [
            folder.run(each.name, seed, split)
            for split in recipe.split_seeds
            for each in experiments
            for seed in each.seeds
        ]
        discard_damaged(folder, runs)
        claim(folder, recipe, experiments, splits, custom)
        ensure_usable(photos.catalog, splits[0].splits, allow_bad)
        ensure_validated(experiments, splits[0])
        return _run(recipe, series, experiments, left_out, splits, folder, custom)


def _run(
    recipe: Recipe,
    series: Sequence[AnyExperiment],
    experiments: Sequence[AnyExperiment],
    left_out: dict[str, str],
    splits: Sequence[SeriesPhotos],
    folder: SeriesFolder,
    custom: Custom,
) -> Results:
    """Train what is not trained yet of `experiments`, test it, and put the results of everything in OUT together."""
    frozen, changed = FrozenLayers(cache_folder()), set[str]()
    trained = [experiment for experiment in series if isinstance(experiment, Experiment)]
    for photos in splits:
        for experiment in experiments:
            if experiment.name in left_out:
                say(f"{experiment.name}: {left_out[experiment.name]}")
                continue
            for seed in experiment.seeds:
                target = folder.run(experiment.name, seed, photos.splits.split_seed)
                if target.is_trained:
                    say(f"{experiment.name}, {target.title}: already trained")
                    continue
                ensure_room(folder.path, run_bytes(experiment), f"{experiment.name}, {target.title},")
                if isinstance(experiment, AsIs):
                    write_as_is(experiment, photos, target)
                    continue
                division = Division(experiment, trained, frozen)
                siblings = {other.name: folder.run(other.name, seed, target.split_seed) for other in experiments}
                parent = find_parent(experiment.start_from, siblings) if experiment.start_from else None
                name = target.path.relative_to(folder.path).as_posix()
                if photos.validation == "test":
                    record_test_read(folder.test_reads, VALIDATION, [name], len(photos.splits.test))
                train_experiment(experiment, seed, parent, photos, division, target, folder.events(target), custom)
                changed.add(name)

    runs = trained_runs(folder)
    if not runs:
        raise RunError(f"There is nothing to show: {' '.join(f'{name} is {why}.' for name, why in left_out.items())}")
    for photos in splits:
        split_seed = photos.splits.split_seed
        of_split = [run for run in runs if run.split_seed == split_seed]
        why = f"{FINAL}{recipe.name}{f'{SPLIT}{split_seed}' if split_seed else ''}"
        changed.update(evaluate_on_test(of_split, photos, trained, frozen, folder, why))
    write_results(folder, describe(splits[0]), left_out)
    if trained:
        check_photos(folder, splits[0], trained, frozen)
    save_pictures(folder.path, changed)
    results = load_results(folder.path)
    write_report(side_by_side(results), {item.path: item.file for item in splits[0].source.items})
    return results


def discard_damaged(folder: SeriesFolder, targets: Sequence[RunFolder]) -> None:
    """Delete those trained runs among `targets` that are damaged, so that they are made again, and say so.

    Raises:
        RunError: another run in the folder is damaged.
    """
    for run in trained_runs(folder):
        if not (problem := damage(run.path)):
            continue
        if run not in targets:
            raise RunError(f"{problem}. {REMEDY}")
        say(f"{run.path.parent.name}, {run.title}, is made again: {problem}")
        run.discard()


def with_parents(experiments: Sequence[AnyExperiment], only: Sequence[str]) -> list[AnyExperiment]:
    """Keep the experiments of these names and the ancestors that they start from; all without names.

    Raises:
        RecipeError: there is no experiment of a name.
    """
    names = [experiment.name for experiment in experiments]
    for name in only:
        if name not in names:
            raise RecipeError(f"--only {name}: there is no such experiment; there are {', '.join(names)}.")
    wanted = set(only or names)
    for experiment in reversed(experiments):  # children stand behind their parents
        parent = parent_name(experiment)
        if experiment.name in wanted and parent:
            wanted.add(parent)
    return [experiment for experiment in experiments if experiment.name in wanted]


def ensure_solvable(experiments: Sequence[AnyExperiment], custom: Custom) -> None:
    """Make sure that every phase's solver can do what the caller wants.

    Raises:
        RecipeError: it can't.
    """
    named = [experiment.name for experiment in experiments if any(p.solver == "lbfgs" for p in experiment.phases)]
    if named and (custom.head or custom.loss):
        raise RecipeError(
            f"experiments.{named[0]}: `solver: lbfgs` fits unfreeze's own head by the cross-entropy, not a head or "
            "loss of yours. Take `solver: adam`."
        )


def ensure_validated(experiments: Sequence[AnyExperiment], photos: SeriesPhotos) -> None:
    """Make sure that there are validation photos for those who go by them.

    Raises:
        RecipeError: there are none.
    """
    for experiment in experiments:
        if isinstance(experiment, Experiment) and experiment.patience and not photos.splits.val:
            raise RecipeError(
                f"experiments.{experiment.name}: `patience: {experiment.patience}` goes by the validation loss, and "
                "there are no validation photos. Set data.validation to a share such as 0.15, or leave patience out."
            )


def claim(
    folder: SeriesFolder,
    recipe: Recipe,
    experiments: Sequence[AnyExperiment],
    splits: Sequence[SeriesPhotos],
    custom: Custom,
) -> None:
    """Make sure that what stands in the folder is of the same photos and settings, then write what is known by now.

    Raises:
        RunError: it isn't; the message shows the differences and the ways out.
    """
    ways_out = "Choose another folder with --out, or throw the old results away with --force."
    there = trained_runs(folder)
    for photos in splits:
        split_seed = photos.splits.split_seed
        file = folder.splits(split_seed)
        of_split = [run for run in there if run.split_seed == split_seed]
        if any(read_yaml(run.config)["data"]["sha256"] != photos.splits.sha256 for run in of_split):
            raise RunError(
                f"{folder.path} holds results on other photos or another split: its {file.name} is not what "
                f"{photos.source.name} gives now. {ways_out}"
            )
        for experiment in experiments:
            for seed in experiment.seeds:
                target = folder.run(experiment.name, seed, split_seed)
                if target.is_trained:
                    ensure_same(target, settings(experiment, seed, describe(photos), custom.described()))
    folder.path.mkdir(parents=True, exist_ok=True)
    for photos in splits:
        photos.splits.write(folder.splits(photos.splits.split_seed))
    write_bad_files(folder.bad_files, splits[0].catalog.bad)
    write_recipe(folder.recipe, recipe, experiments)
