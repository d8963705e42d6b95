"""What is wrong with a recipe, in words: every mistake with its place, what came and what is allowed."""

import difflib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from unfreeze import config
from unfreeze.config import AsIs, Blocks, ExperimentSettings, PhotoSettings, Recipe
from unfreeze.extras import ModelExtras, Regimen
from unfreeze.models.imagenet import find_imagenet_classes, imagenet_classes
from unfreeze.text import in_a_line

MISTAKES = 30
LETTERS = 600
"""Mistakes that are named, at most, and letters of each."""


def in_lines(mistakes: Sequence[str]) -> str:
    """Count mistakes and list them, one a line."""
    count = "1 mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
    lines = [f"  - {in_a_line(mistake, LETTERS)}" for mistake in mistakes[:MISTAKES]]
    more = [f"  and {len(mistakes) - MISTAKES:,} more"] if len(mistakes) > MISTAKES else []
    return "\n".join([f"{count}:", *lines, *more])


def described(errors: Iterable[Any], raw: Any) -> list[str]:
    """Put validation errors in words: where, what came, what is allowed; one mistake a place.

    Args:
        errors: as pydantic gives them.
        raw: the data that they were found in.
    """
    found: dict[str, list[str]] = {}
    came: dict[str, Any] = {}
    for error in errors:
        steps = [str(step) for step in error["loc"]]
        place = ".".join(_keys_alone(error, raw))
        came[place] = error["input"]
        found.setdefault(place, []).append(_wanted(error, steps))
    # Where one branch of a union fits so well that the mistake lies inside, the others need not be named.
    whole = [place for place in found if any(other.startswith(f"{place}.") for other in found)]
    mistakes = []
    for place, wanted in found.items():
        if place in whole:
            continue
        expected = [text.removeprefix("expected ") for text in wanted if text.startswith("expected ")]
        mistakes += [f"{place}: {text}" for text in wanted if not text.startswith("expected ")]
        if expected:
            mistakes.append(f"{place}: expected {' or '.join(expected)}, got {_shown(came[place])}")
    return mistakes


def _shown(value: Any) -> str:
    try:
        return f"{value!r:.80}"
    except ValueError:  # Python writes out no whole number of more than 4,300 digits
        return "a number of thousands of digits"


def _keys_alone(error: Any, raw: Any) -> list[str]:
    """Give an error's location without the branches of unions, which stand in it as the names of types."""
    keys, here = [], raw
    for number, step in enumerate(error["loc"]):
        is_missing_key = error["type"] == "missing" and number == len(error["loc"]) - 1
        is_key = step in here if isinstance(here, Mapping) else isinstance(step, int)
        if is_key or is_missing_key:
            keys.append(str(step))
            here = here[step] if is_key and isinstance(here, Mapping | list | tuple) else None
    return keys


def parent_mistakes(experiments: Any) -> list[str]:
    """Parents that are not there or that go round in a circle; reads raw data, so other mistakes don't hide these."""
    parents = {
        name: own["from"].partition("@")
        for name, own in _named(experiments).items()
        if isinstance(own.get("from"), str)
    }
    mistakes = []
    for name, (parent, at, checkpoint) in parents.items():
        place = f"experiments.{name}.from"
        if parent not in experiments and not _is_run(parent):
            mistakes.append(
                f"{place}: there is no experiment `{parent}`{_hint(parent, experiments)}; "
                f"there are {', '.join(_named(experiments))}"
            )
        if at and checkpoint not in ("best", "last"):
            mistakes.append(f"{place}: `@{checkpoint}` is no checkpoint; allowed are @best and @last")
        line = {name: None}  # ancestors in turn
        while parent in parents and parent not in line:
            line[parent] = None
            parent = parents[parent][0]
        if parent == name:
            mistakes.append(f"{place}: goes round in a circle: {' from '.join([*line, name])}")
    return mistakes


def _named(experiments: Any) -> dict[str, dict[str, Any]]:
    """Keep what looks like experiments."""
    if not isinstance(experiments, dict):
        return {}
    return {name: own for name, own in experiments.items() if isinstance(name, str) and isinstance(own, dict)}


def _is_run(path: str) -> bool:
    try:
        return Path(path, "config.yaml").is_file()
    except (OSError, ValueError):  # no path at all, such as one of 10,000 letters
        return False


def as_is_mistakes(experiments: Any) -> list[str]:
    """Keys that mean nothing where nothing is trained, and children of such experiments; reads raw data, too."""
    settings = _named(experiments)
    as_is = {name for name, own in settings.items() if own.get("kind") == "as_is"}
    mistakes = []
    for name, own in settings.items():
        place = f"experiments.{name}"
        if name in as_is:
            mistakes += [
                f"{place}.{key}: means nothing for `kind: as_is`, which takes the pretrained network as it is; leave "
                "it out"
                for key in own
                if key in _keys(ExperimentSettings) and key not in config.AS_IS_KEYS
            ]
        elif "class_map" in own:
            mistakes.append(f"{place}.class_map: is for `kind: as_is`; add that, or leave it out")
        parent = own.get("from")
        parent = parent.partition("@")[0] if isinstance(parent, str) else None
        if parent in as_is and name not in as_is:
            mistakes.append(
                f"{place}.from: `{parent}` is as-is, so nothing of it is trained; leave `from` out to start from "
                "ImageNet's weights"
            )
    return mistakes


def class_map_mistakes(experiment: AsIs, classes: Sequence[str]) -> list[str]:
    """Classes and ImageNet names of a class map that are not there, and names that stand for two classes."""
    place, mistakes = f"experiments.{experiment.name}.class_map", []
    stands_for = {output: name for name in classes for output in find_imagenet_classes(name)}
    stands_for = {output: name for output, name in stands_for.items() if name not in experiment.class_map}
    for name, words in experiment.class_map.items():
        if name not in classes:
            mistakes.append(
                f"{place}: there is no class `{name}`{_hint(name, classes)}; there are {', '.join(classes)}"
            )
        for word in words:
            found = find_imagenet_classes(word)
            if not found:
                titles = [each.title for each in imagenet_classes()]
                mistakes.append(f"{place}.{name}: ImageNet has no class `{word}`{_hint(word, titles)}")
            for other in {stands_for[output] for output in found if stands_for.get(output, name) != name}:
                mistakes.append(f"{place}.{name}: `{word}` stands for `{other}` already; it can be only one of them")
            stands_for |= dict.fromkeys(found, name)
    return mistakes


def _wanted(error: Any, steps: list[str]) -> str:
    match error["type"]:
        case "extra_forbidden":
            allowed = _keys(_section_at(steps))
            return f"unknown key{_hint(steps[-1], allowed)}; allowed are {', '.join(allowed)}"
        case "string_pattern_mismatch":
            return "expected a name of letters, digits, `_`, `.` and `-` that begins with a letter or digit"
        case "missing":
            return "is missing"
        case "value_error":
            return str(error["ctx"]["error"])
        case "model_type" | "model_attributes_type" | "dict_type":
            return "expected a mapping"
        case "literal_error" if error["ctx"]["expected"] == "False":
            return "expected false"
        case _:
            text = error["msg"].replace("Input should be", "expected").replace("a valid integer", "a whole number")
            return text.replace("a valid ", "a ").replace("a string", "text").replace("a tuple", "a list")


def _section_at(steps: list[str]) -> type[BaseModel]:
    """The section of the recipe in which an unknown key stands."""
    if steps[0] == "experiments" and len(steps) > 2:
        steps, section = steps[2:], ExperimentSettings
    else:
        section = Recipe
    inner: dict[str, type[BaseModel]] = {
        "augment": config.Augmentation,
        "phases": config.Phase,
        "unfreeze": Blocks,
        "data": config.DataSettings if section is Recipe else PhotoSettings,
    }
    for step in reversed(steps[:-1]):
        if step in inner:
            return inner[step]
    return section


def _keys(section: type[BaseModel]) -> list[str]:
    """List a section's keys, those that are off by default last."""
    off = {*Regimen.model_fields, *ModelExtras.model_fields}
    names = sorted(section.model_fields, key=lambda name: name in off)
    return [section.model_fields[name].alias or name for name in names]


def _hint(word: Any, allowed: Iterable[Any]) -> str:
    close = difflib.get_close_matches(str(word), [str(name) for name in allowed], n=1)
    return f" (did you mean `{close[0]}`?)" if close else ""
