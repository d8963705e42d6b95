"""A whole series: from a recipe and a folder of photos to trained models and their comparison."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from unfreeze.config import AnyExperiment, Experiment, Recipe
from unfreeze.data.cache_folder import cache_folder
from unfreeze.data.catalog import write_bad_files
from unfreeze.data.checkup import ensure_usable
from unfreeze.errors import RecipeError, RunError
from unfreeze.features.frozen import FrozenLayers
from unfreeze.progress import say
from unfreeze.report.page import write_report
from unfreeze.report.pictures import save_pictures
from unfreeze.report.results import Results, load_results
from unfreeze.report.side_by_side import side_by_side
from unfreeze.seals import REMEDY, damage
from unfreeze.series.as_is import fit_class_maps
from unfreeze.series.folders import RunFolder, SeriesFolder, read_yaml
from unfreeze.series.lineage import ensure_same, settings
from unfreeze.series.lock import held
from unfreeze.series.on_ray import ray_cluster
from unfreeze.series.photos import SeriesPhotos, describe, open_photos
from unfreeze.series.plan import check_layers
from unfreeze.series.recipe import complete_recipe, parent_name, resolve, write_recipe
from unfreeze.series.results import trained_runs
from unfreeze.series.tasks import Here, Runner, Series, tasks
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
    on: str | None = None,
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
        on: `ray` shares the work out to processes of this machine, HOST:PORT or ray://HOST:PORT to a Ray cluster, whose
            machines all see `out`, the caches and the photos under the same paths.

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
    if on:
        ensure_portable(custom)
    with ray_cluster(on) if on else nullcontext(Here()) as runner:
        photos = open_photos(recipe.data, chosen, runner.read)
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
            return _run(
                Series(
                    name=recipe.name,
                    experiments={experiment.name: experiment for experiment in experiments},
                    trained=[experiment for experiment in series if isinstance(experiment, Experiment)],
                    left_out=left_out,
                    splits=dict(zip(recipe.split_seeds, splits, strict=True)),
                    folder=folder,
                    frozen=FrozenLayers(cache_folder()),
                    custom=custom,
                ),
                runner,
            )


def _run(series: Series, runner: Runner) -> Results:
    """Train what is not trained yet, test it, and put the results of everything in OUT together."""
    out, photos = series.folder, next(iter(series.splits.values()))
    changed = runner.run(tasks(series, runner.parts), series)
    save_pictures(out.path, changed)
    results = load_results(out.path)
    write_report(side_by_side(results), {item.path: item.file for item in photos.source.items})
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


def ensure_portable(custom: Custom) -> None:
    """Make sure that nothing of the caller's own has to be taken to other processes.

    Raises:
        RecipeError: something would have to.
    """
    if own := ", ".join(custom.described()):
        raise RecipeError(f"on: what is trained elsewhere can't have {own} of your own. Leave that out, or `on`.")


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
