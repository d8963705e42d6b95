"""From a recipe's text to its experiments, in the order in which they run; all mistakes are named at once."""

import importlib.resources
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from unfreeze import config
from unfreeze.config import AnyExperiment, AsIs, Experiment, ExperimentSettings, PhotoSettings, Recipe, Settings
from unfreeze.data.sources import NAMED
from unfreeze.errors import RecipeError
from unfreeze.files import replace_text
from unfreeze.series.mistakes import as_is_mistakes, described, in_lines, parent_mistakes
from unfreeze.series.recipe_text import parse_yaml


def shipped_recipes() -> list[str]:
    """Names of the recipes that come with the package."""
    folder = importlib.resources.files("unfreeze") / "recipes"
    return sorted(file.name.removesuffix(".yaml") for file in folder.iterdir() if file.name.endswith(".yaml"))


def read_recipe(recipe: str | Path, overrides: Iterable[str] = ()) -> Recipe:
    """Read a recipe and apply `--set` overrides.

    Args:
        recipe: path of a YAML file, or the name of a shipped recipe.
        overrides: `KEY=VALUE` each; dots reach inside (`augment.views=2`); values are read as YAML.

    Raises:
        RecipeError: no such recipe, or mistakes in it (all are listed).
    """
    text, where = _recipe_text(recipe)
    raw = parse_yaml(text, where)
    if not isinstance(raw, dict):
        raise RecipeError(f"{where} is not a recipe: it must be a mapping with the keys name, data, experiments.")
    for override in overrides:
        _apply(raw, override)
    return check_recipe(raw, where)


def complete_recipe(
    recipe: str | Path | Recipe, data: str | Path | None, seeds: int | None, overrides: Iterable[str] = ()
) -> Recipe:
    """Read a recipe and put the caller's data and seeds in the place of its own.

    Raises:
        RecipeError: mistakes in it, or no photos are named.
    """
    if not isinstance(recipe, Recipe):
        recipe = read_recipe(recipe, overrides)
    if data is not None:
        recipe = recipe.model_copy(update={"data": recipe.data.model_copy(update={"source": str(data)})})
    if seeds is not None:
        if seeds < 1:
            raise RecipeError(f"--seeds {seeds}: at least one seed is needed.")
        wanted = {"seeds": tuple(range(seeds))}
        own = {name: each.model_copy(update=wanted) for name, each in recipe.experiments.items()}
        recipe = recipe.model_copy(update={**wanted, "experiments": own})
    if recipe.data.source is None:
        raise RecipeError("No photos are named. Give --data FOLDER, or `data: {source: FOLDER}` in the recipe.")
    return recipe


def check_recipe(raw: Mapping[str, Any], where: str) -> Recipe:
    """Turn plain data into a `Recipe`.

    Raises:
        RecipeError: listing every mistake: unknown keys, wrong types, parents that are not there.
    """
    mistakes: list[str] = []
    recipe = None
    try:
        recipe = Recipe.model_validate(raw)
    except ValidationError as error:
        mistakes += described(error.errors(), raw)
    mistakes += parent_mistakes(raw.get("experiments")) + as_is_mistakes(raw.get("experiments"))
    if mistakes or recipe is None:
        raise RecipeError(f"{where} has {in_lines(mistakes)}")
    return recipe


def resolve(recipe: Recipe) -> list[AnyExperiment]:
    """Complete every experiment with the recipe's and the package's defaults; parents come before children.

    Raises:
        RecipeError: a child's backbone or image size differs from its parent's.
        BackboneError: a backbone's name is unknown, or its file isn't there.
    """
    experiments = {name: _complete(name, recipe, own) for name, own in recipe.experiments.items()}
    ordered: dict[str, AnyExperiment] = {}
    for experiment in experiments.values():
        line = [experiment]  # back to the first ancestor; no recursion, for there may be thousands
        while parent := experiments.get(parent_name(line[-1]) or ""):
            _ensure_fitting(line[-1], parent)
            if parent.name in ordered:
                break
            line.append(parent)
        for each in reversed(line):
            ordered.setdefault(each.name, each)
    return list(ordered.values())


def _ensure_fitting(child: AnyExperiment, parent: AnyExperiment) -> None:
    """Refuse a parent whose weights the child can't start from."""
    for key in ("backbone", "image_size", "resize"):
        mine, theirs = getattr(child, key), getattr(parent, key)
        if mine != theirs:
            raise RecipeError(
                f"experiments.{child.name} starts from {parent.name}, so both need the same {key}; "
                f"they have {mine} and {theirs}. Set the same {key} for both, or leave `from` out."
            )


def parent_name(experiment: AnyExperiment) -> str | None:
    """The parent's name without its `@last`, or None where training starts from ImageNet's weights."""
    return experiment.start_from.partition("@")[0] if experiment.start_from else None


def write_recipe(path: Path, recipe: Recipe, experiments: Sequence[AnyExperiment]) -> None:
    """Write a recipe from which the whole folder can be run again; experiments that it has already are kept.

    Args:
        path: the folder's `recipe.yaml`.
        recipe: for the name and the data.
        experiments: complete ones, so that the file stays true when defaults change.
    """
    before = recipe_of_folder(path)
    own = {name: reference.model_dump() for name, reference in recipe.references.items()}
    references = {**before.get("references", {}), **own}
    content = {
        "name": recipe.name,
        "data": {
            **recipe.data.model_dump(mode="json", exclude_none=True),
            "source": _findable(recipe.data.source),
        },
        **({"references": references} if references else {}),
        "split_seeds": sorted({*before.get("split_seeds", ()), *recipe.split_seeds}),
        "experiments": {
            **before.get("experiments", {}),
            **{experiment.name: _as_written(experiment) for experiment in experiments},
        },
    }
    replace_text(path, yaml.safe_dump(content, sort_keys=False, allow_unicode=True))


def recipe_of_folder(path: Path) -> dict[str, Any]:
    """Read the recipe in a series' folder; empty where it isn't there or is damaged, since it is written anew then."""
    try:
        content = parse_yaml(path.read_text(encoding="utf-8"), str(path))
        check_recipe(content, str(path))
    except (OSError, ValueError, AttributeError, RecipeError):  # or it is no mapping
        return {}
    return content


def _findable(source: str | None) -> str | None:
    """Give the whole path of a folder or file, so that the recipe works from anywhere; links keep their names."""
    return str(Path(source).absolute()) if source and source not in NAMED and Path(source).exists() else source


def _as_written(experiment: AnyExperiment) -> dict[str, Any]:
    """Give an experiment in the form that a recipe has."""
    if isinstance(experiment, AsIs):
        return {key: getattr(experiment, key) for key in sorted(config.AS_IS_KEYS)}
    content = experiment.model_dump(
        mode="json", exclude={"name", "start_from", *PhotoSettings.model_fields}, exclude_none=True
    )
    content["data"] = {key: getattr(experiment, key) for key in PhotoSettings.model_fields}
    return {"from": experiment.start_from, **content} if experiment.start_from else content


def _complete(name: str, recipe: Recipe, own: ExperimentSettings) -> AnyExperiment:
    from unfreeze.models.backbone_files import located
    from unfreeze.models.backbones import default_image_size

    def pick(top: BaseModel, inner: BaseModel, key: str) -> Any:
        return getattr(inner if key in inner.model_fields_set else top, key)

    settings = {key: pick(recipe, own, key) for key in Settings.model_fields}
    if own.kind == "as_is":
        size = default_image_size(settings["backbone"])
        return AsIs(name=name, backbone=settings["backbone"], image_size=size, class_map=own.class_map)
    photos = {key: pick(recipe.data, own.data, key) for key in PhotoSettings.model_fields}
    regimen = {key: settings.pop(key) for key in config.Regimen.model_fields}
    of_one = {key: settings.pop(key) for key in set(config.Phase.model_fields) - set(regimen)}
    phases = settings.pop("phases") or (config.Phase(**of_one),)
    _ensure_effect(name, own, phases)
    settings["backbone"] = located(settings["backbone"])
    photos["image_size"] = photos["image_size"] or default_image_size(settings["backbone"])
    return Experiment(
        name=name,
        start_from=own.start_from,
        phases=tuple(_complete_phase(name, phase, settings["engine"], regimen) for phase in phases),
        **settings,
        **photos,
    )


def _ensure_effect(name: str, own: ExperimentSettings, phases: Sequence[config.Phase]) -> None:
    """Refuse keys of an experiment that change nothing of it."""
    if any(phase.solver != "lbfgs" for phase in phases):
        return
    for key in (*config.Regimen.model_fields, "dropout"):
        if getattr(own, key) != ExperimentSettings.model_fields[key].default:
            raise RecipeError(
                f"experiments.{name}: `{key}: {getattr(own, key)}` is about training steps, and `solver: lbfgs` makes "
                "none. Leave it out there, or take `solver: adam`."
            )


def _complete_phase(name: str, phase: config.Phase, engine: str, regimen: Mapping[str, Any]) -> config.Phase:
    """Fill in what a phase leaves to its experiment; `regimen` is the experiment's."""
    if phase.solver == "lbfgs":
        steps = [(key, getattr(phase, key), field.default) for key, field in config.Regimen.model_fields.items()]
        for key, value, allowed in (
            ("unfreeze", phase.unfreeze, 0),
            ("learning_rate", phase.learning_rate, None),
            ("engine", engine, "cached"),
            *steps,
        ):
            if value != allowed:
                raise RecipeError(
                    f"experiments.{name}: `solver: lbfgs` fits the head alone, on cached features, without a learning "
                    f"rate; it can't go with `{key}: {value}`. Leave that out there, or take `solver: adam`."
                )
        return phase
    changes = {key: value for key, value in regimen.items() if key not in phase.model_fields_set}
    if phase.learning_rate is None:
        frozen = phase.unfreeze == 0
        rate = config.FEATURE_EXTRACTION_LEARNING_RATE if frozen else config.FINE_TUNING_LEARNING_RATE
        changes["learning_rate"] = rate
    phase = phase.model_copy(update=changes)
    if phase.warmup > phase.epochs:
        raise RecipeError(
            f"experiments.{name}: `warmup: {phase.warmup:g}` is longer than the phase, which has {phase.epochs} "
            "epochs. Take less warm-up or more epochs."
        )
    return phase


def _recipe_text(recipe: str | Path) -> tuple[str, str]:
    path = Path(recipe)
    try:
        if path.suffix in (".yaml", ".yml") or path.is_file():
            return path.read_text(encoding="utf-8"), str(path)
        if str(recipe) in shipped_recipes():
            file = importlib.resources.files("unfreeze") / "recipes" / f"{recipe}.yaml"
            return file.read_text(encoding="utf-8"), f"recipe {recipe}"
    except (OSError, UnicodeDecodeError) as error:
        raise RecipeError(f"The recipe {recipe} can't be read: {error}.") from error
    raise RecipeError(
        f"There is no recipe {recipe}: neither a file of that name nor one of the shipped ones "
        f"({', '.join(shipped_recipes())}). Give the path of a YAML file, or one of these names."
    )


def _apply(raw: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    if not equals or not all(key.split(".")):
        raise RecipeError(f"--set {override}: expected KEY=VALUE, for example --set augment.views=2.")
    target = raw
    *path, last = key.split(".")
    for step in path:
        inner = target.get(step)
        target[step] = target = inner if isinstance(inner, dict) else {}
    target[last] = parse_yaml(text, f"--set {override}")
