"""Where a run's weights come from: its parent, what changed since, and proof that frozen weights did not move."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unfreeze.config import AnyExperiment, AsIs, Experiment
from unfreeze.errors import RunError
from unfreeze.files import file_sha256
from unfreeze.inference.finished import finished_run
from unfreeze.models.backbone_files import backbone_sha256
from unfreeze.seals import ensure_whole
from unfreeze.series.environment import environment
from unfreeze.series.folders import RunFolder, read_json, read_yaml


@dataclass(frozen=True)
class Parent:
    """A finished run that another starts from.

    Attributes:
        run: its folder.
        checkpoint: `best` or `last`.
        name: the parent experiment's name.
        seed: the parent's seed.
        epochs: epochs that stand behind its weights, its own ancestors' included.
        classes: names of the classes that its head knows.
        head: what is said of a head of the caller's own, None for the usual one.
    """

    run: RunFolder
    checkpoint: str
    name: str
    seed: int
    epochs: int
    classes: tuple[str, ...]
    head: Any = None

    @property
    def weights(self) -> Path:
        """The file with the whole model's weights."""
        return self.run.checkpoint(self.checkpoint)


def read_parent(run: RunFolder, checkpoint: str) -> Parent:
    """Read what a child needs to know of its parent.

    Raises:
        RunError: the parent is not finished, trained nothing, or its files are damaged.
    """
    ensure_whole(run.path)
    lineage = read_json(run.lineage)
    if lineage["kind"] == "as_is":
        raise RunError(f"{run.path} is as-is, so nothing of it is trained; start from ImageNet's weights, without it.")
    return Parent(
        run=run,
        checkpoint=checkpoint,
        name=lineage["name"],
        seed=lineage["seed"],
        epochs=lineage["epochs_before"] + lineage["epochs"],
        classes=tuple(read_json(run.classes)),
        head=read_yaml(run.config).get("custom", {}).get("head"),
    )


def find_parent(start_from: str, siblings: dict[str, RunFolder]) -> Parent:
    """Find the run that `from` names.

    Args:
        start_from: `NAME`, `NAME@best` or `NAME@last`, with a sibling's name or the path of a run.
        siblings: experiment name -> run of the same series and seed.
    """
    name, _, checkpoint = start_from.partition("@")
    run = siblings[name] if name in siblings else RunFolder(finished_run(name))
    return read_parent(run, checkpoint or "best")


def lineage(
    run: RunFolder,
    config: dict[str, Any],
    parent: Parent | None,
    started_from: str,
    weights: str,
    phases: list[dict[str, Any]],
) -> dict[str, Any]:
    """Put together what `lineage.json` holds.

    Args:
        run: the run's folder.
        config: its settings.
        parent: where it started, or None for ImageNet's weights.
        started_from: hash of the whole model's weights before training.
        weights: the same afterwards, with the best epoch's weights.
        phases: what was trained in each phase.
    """
    about_parent = changed = None
    if parent:
        about_parent = {
            "name": parent.name,
            "seed": parent.seed,
            "path": _seen_from(run.path.parents[2], parent.run.path),
            "checkpoint": parent.checkpoint,
            "weights_sha256": file_sha256(parent.weights),
        }
        changed = differences(read_yaml(parent.run.config), config)
    return {
        "name": config["name"],
        "seed": config["seed"],
        "kind": config["kind"],
        "parent": about_parent,
        "changed": changed,
        "epochs_before": parent.epochs if parent else 0,
        "epochs": sum(phase["epochs"] for phase in config["phases"]),
        "data": config["data"],
        "weights_sha256_before": started_from,
        "weights_sha256": weights,
        "phases": phases,
        "environment": environment(config["engine"]),
    }


def _seen_from(out: Path, run: Path) -> str:
    """Give a run's path from OUT where it lies inside, so that OUT can be moved."""
    run, out = run.resolve(), out.resolve()
    return run.relative_to(out).as_posix() if run.is_relative_to(out) else str(run)


def settings(experiment: AnyExperiment, seed: int, data: dict[str, Any], custom: dict[str, Any]) -> dict[str, Any]:
    """Everything that decides a run's result, as its `config.yaml` holds it.

    Args:
        experiment: from the recipe.
        seed: of the run.
        data: what `describe` says of the photos.
        custom: what `Custom.described` says of the caller's own parts.
    """
    content = experiment.model_dump(mode="json", exclude={"seeds"})
    if sha256 := backbone_sha256(experiment.backbone):
        content["backbone_sha256"] = sha256
    data = {key: data[key] for key in ("name", "classes", "train", "val", "test", "sha256", "split_seed")}
    own = {"custom": custom} if custom and isinstance(experiment, Experiment) else {}
    return {**content, **own, "kind": experiment.kind, "seed": seed, "data": data}


def read_settings(run: RunFolder) -> AnyExperiment:
    """Read back the experiment that a run's `config.yaml` holds, with the run's own seed.

    Raises:
        RunError: it isn't there or isn't whole.
    """
    config = read_yaml(run.config)
    try:
        if config["kind"] == "as_is":
            return AsIs.model_validate({key: config[key] for key in AsIs.model_fields})
        own = {key: config[key] for key in Experiment.model_fields if key in config}
        return Experiment.model_validate({**own, "seeds": (config["seed"],)}, strict=False)
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(f"{run.config} is damaged ({error}). Run the experiment again with --force.") from error


def differences(before: Any, after: Any, place: str = "") -> dict[str, tuple[Any, Any]]:
    """Compare two settings: dotted key -> (before, after) wherever they differ."""
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        before, after = dict(enumerate(before)), dict(enumerate(after))
    if not (isinstance(before, dict) and isinstance(after, dict)):
        return {} if before == after else {place: (before, after)}
    found = {}
    for key in {**before, **after}:
        inner = f"{place}.{key}" if place else str(key)
        found |= differences(before.get(key), after.get(key), inner)
    return found


def ensure_same(run: RunFolder, wanted: dict[str, Any]) -> None:
    """Refuse to mix results: what stands in a run folder must have the settings that are asked for now.

    Raises:
        RunError: showing each difference and the two ways out.
    """
    changed = differences(read_yaml(run.config), wanted)
    if changed:
        listed = "\n".join(f"  {key}: there {before}, now {after}" for key, (before, after) in changed.items())
        raise RunError(
            f"{run.path} holds a run with other settings:\n{listed}\n"
            "Choose another folder with --out, or throw the old run away with --force."
        )
