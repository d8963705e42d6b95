"""Food-101 as it is published: `images/CLASS/*.jpg`, and lists in `meta/` that say which photo is for what.

Bossard, Guillaumin and Van Gool, Food-101 - Mining Discriminative Components with Random Forests, ECCV 2014.
"""

import json
import unicodedata
from pathlib import Path

from unfreeze.data.items import Item, Source, SplitName, inner_path, sort_items
from unfreeze.data.walk import files_below
from unfreeze.errors import DataError

SPLITS: tuple[SplitName, ...] = ("train", "test")


def is_food101(root: Path) -> bool:
    """Tell whether a folder is laid out as Food-101 is."""
    return (root / "images").is_dir() and any(map(Path.is_file, _lists(root, "train")))


def open_food101(root: Path) -> Source:
    """List the photos that `meta/train.json` and `meta/test.json` (or `.txt`) name, of all classes.

    Raises:
        DataError: a list is missing, damaged, or names a photo that the other one has, too.
    """
    items: dict[str, Item] = {}
    for split in SPLITS:
        for name in _names(root, split):
            path = f"images/{name}.jpg"
            label = unicodedata.normalize("NFC", name.partition("/")[0])
            if items.setdefault(path, item := Item(path, root / path, label, split, label)) != item:
                raise DataError(f"{root / 'meta'} puts {name} into both train and test: remove it from one of them.")
    unlisted = [file for file in files_below(root / "images") if file.relative_to(root).as_posix() not in items]
    notice = f"Not used, being in neither list of meta: {len(unlisted)} files in images." if unlisted else None
    return Source(root.resolve().name, root, sort_items(items.values()), True, notice)


def _lists(root: Path, split: SplitName) -> tuple[Path, Path]:
    return root / "meta" / f"{split}.json", root / "meta" / f"{split}.txt"


def _names(root: Path, split: SplitName) -> list[str]:
    """Read a split's list: names such as `pizza/1008104`."""
    as_json, as_text = _lists(root, split)
    file = as_json if as_json.is_file() else as_text
    if not file.is_file():
        raise DataError(f"{root} has images and meta as Food-101, but no {as_json.relative_to(root).as_posix()}.")
    try:
        text = file.read_text(encoding="utf-8-sig")
        if file == as_json:
            listed = [name for names in json.loads(text).values() for name in names]
        else:
            listed = [line.strip() for line in text.splitlines() if line.strip()]
        names = [inner_path(name) for name in listed]
        if odd := [name for name in names if "/" not in name]:
            raise ValueError(f"{odd[0]!r} has no class")
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise DataError(f"{file} is no list of photos such as pizza/1008104: {error}.") from error
    if not names:
        raise DataError(f"{file} is empty: it lists the photos of {split}.")
    return names
