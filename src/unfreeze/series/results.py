"""`results.json`: all figures of a series, put together from its run folders."""

from typing import Any

from unfreeze.config import Blocks, Experiment
from unfreeze.report.results import as_results
from unfreeze.report.summary import Summary, summarize
from unfreeze.seals import read_sealed, write_sealed
from unfreeze.series.folders import RunFolder, SeriesFolder, read_json
from unfreeze.series.lineage import read_settings
from unfreeze.series.recipe import recipe_of_folder

TEST_FIGURES = ("n", "accuracy", "ci95", "macro_f1", "nll", "ece", "brier", "nll_uncalibrated", "ece_uncalibrated")


def trained_runs(out: SeriesFolder) -> list[RunFolder]:
    """Give every trained run of a series: experiments as in `recipe.yaml`, each split after split, seeds ascending.

    The folders count, not the recipe, so that nothing is lost where that was changed.
    """
    names = [*recipe_of_folder(out.recipe).get("experiments", {}), *sorted(folder.name for folder in out.experiments)]
    return [run for name in dict.fromkeys(names) for run in out.runs(name) if run.is_trained]


def write_results(out: SeriesFolder, dataset: dict[str, Any], left_out: dict[str, str]) -> None:
    """Put `results.json` together from everything that is trained.

    Args:
        out: the series' folder.
        dataset: what `describe` says of the photos.
        left_out: experiments that can't be run with these photos, with reasons.
    """
    runs = trained_runs(out)
    entries = [_entry(out, run) for run in runs]
    total = sum(entry["seconds"]["total"] for entry in entries)
    content: dict[str, Any] = {
        "schema": 1,
        "dataset": dataset,
        "environment": read_json(runs[-1].lineage)["environment"],
        "experiments": entries,
        "left_out": left_out,
        "references": recipe_of_folder(out.recipe).get("references", {}),
        "seconds": {"total": round(total, 3)},
    }
    content["summary"] = [_over_seeds(summary) for summary in summarize(as_results(content, out.path))]
    write_sealed(out.results, content)


def _over_seeds(summary: Summary) -> dict[str, Any]:
    accuracy = summary.to_json()["accuracy"] or dict.fromkeys(("mean", "sd", "ci95"))
    return {"name": summary.name, "seeds": summary.seeds, "splits": summary.splits, **accuracy}


def _entry(out: SeriesFolder, run: RunFolder) -> dict[str, Any]:
    figures, experiment, lineage = read_sealed(run.metrics), read_settings(run), read_json(run.lineage)
    val, test = figures["val"], figures["test"]
    training: dict[str, Any] = {}
    if isinstance(experiment, Experiment):
        unfreeze = experiment.phases[-1].unfreeze
        training = {
            "fraction": experiment.fraction,
            "augment": bool(experiment.augment),
            "views": experiment.views,
            "unfreeze": unfreeze.model_dump() if isinstance(unfreeze, Blocks) else unfreeze,
            "epochs": experiment.epochs,
        }
    return {
        "name": experiment.name,
        "kind": experiment.kind,
        "seed": run.seed,
        "split_seed": run.split_seed,
        "path": run.path.relative_to(out.path).as_posix(),
        "backbone": experiment.backbone,
        "fraction": training.get("fraction"),
        "train_images": figures["train_images"],
        "augment": training.get("augment"),
        "views": training.get("views"),
        "unfreeze": training.get("unfreeze"),
        "trainable_parameters": figures["trainable_parameters"],
        "start_from": lineage["parent"]["name"] if lineage["parent"] else None,
        "epochs": training.get("epochs"),
        "seconds": figures["seconds"],
        "val": {"accuracy": val["accuracy"], "loss": val["loss"]} if val else None,
        "test": {key: test[key] for key in TEST_FIGURES} if test else None,
        "temperature": figures["temperature"],
        "coverage": figures.get("coverage"),
    }
