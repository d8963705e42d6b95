"""The names of ImageNet's 1000 classes, and which of them a word means."""

import csv
import importlib.resources
import re
from collections import Counter
from dataclasses import dataclass
from functools import cache


@dataclass(frozen=True)
class ImageNetClass:
    """One output of every ImageNet classifier.

    Attributes:
        wordnet_id: `n07873807`; every class has its own.
        name: `pizza`; two pairs of classes share one.
        title: the name, with the WordNet id behind it where another class has the same.
    """

    wordnet_id: str
    name: str
    title: str


@cache
def imagenet_classes() -> tuple[ImageNetClass, ...]:
    """List the classes in the order in which ImageNet classifiers' outputs stand."""
    file = importlib.resources.files("unfreeze") / "models" / "imagenet_classes.csv"
    rows = list(csv.DictReader(file.read_text(encoding="utf-8").splitlines()))
    times = Counter(row["name"] for row in rows)
    titles = [row["name"] if times[row["name"]] == 1 else f"{row['name']} ({row['wnid']})" for row in rows]
    return tuple(ImageNetClass(row["wnid"], row["name"], title) for row, title in zip(rows, titles, strict=True))


def find_imagenet_classes(word: str) -> tuple[int, ...]:
    """Find the classes that a word names: all of that name, or of that WordNet id.

    Case, spaces, underscores, hyphens and other marks make no difference: `ice_cream` is `ice cream`. Where nothing has
    the name itself, singular and plural may stand for each other: `mushrooms` is `mushroom`. Nothing else is guessed.

    Returns:
        Their indices, ascending; none where ImageNet doesn't know the word.
    """
    index = _index()
    letters = _letters(word)
    found = index.get(letters, set())
    if not found:
        singular = {index for name, places in index.items() if letters in _plurals(name) for index in places}
        found = singular.union(*(index.get(plural, set()) for plural in _plurals(letters)))
    return tuple(sorted(found))


@cache
def _index() -> dict[str, set[int]]:
    places: dict[str, set[int]] = {}
    for number, each in enumerate(imagenet_classes()):
        for name in (each.name, each.title, each.wordnet_id):
            places.setdefault(_letters(name), set()).add(number)
    return places


def _letters(name: str) -> str:
    return re.sub(r"[\W_]+", "", name.casefold())


def _plurals(word: str) -> set[str]:
    """Form the regular plurals of an English word."""
    if re.search(r"(s|x|z|ch|sh)$", word):
        return {f"{word}es"}
    if re.search(r"[^aeiou]y$", word):
        return {f"{word[:-1]}ies"}
    return {f"{word}s", f"{word}es"} if word.endswith("o") else {f"{word}s"} if word else set()
