"""Whether a data set can be trained on, and what a person should know about it before."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from unfreeze.config import BAD_FILES_LIMIT
from unfreeze.data.catalog import BadFile, Catalog
from unfreeze.data.splits import Splits
from unfreeze.errors import DataError

SHOWN = 5
"""Files or classes named in a message; the rest are counted."""


def ensure_usable(catalog: Catalog, splits: Splits | None, allow_bad: bool) -> None:
    """Stop before any training where the data can't give a sound result.

    Args:
        catalog: the data set.
        splits: how its photos are dealt, or None before that.
        allow_bad: go on above the limit of bad files.

    Raises:
        DataError: every reason found, one a line.
    """
    found = problems(catalog, splits, allow_bad)
    if found:
        lines = "\n".join(f"- {problem}" for problem in found)
        raise DataError(f"{catalog.source_name} ({catalog.root}) can't be used:\n{lines}")


def problems(catalog: Catalog, splits: Splits | None, allow_bad: bool = False) -> list[str]:
    """Say in one sentence each what stands against training on a data set."""
    found = _too_many_bad(catalog.bad, len(catalog.photos)) if not allow_bad else []
    if not catalog.photos:
        return [f"None of its {len(catalog.bad)} files is a usable photo: {_first(catalog.bad)}."]
    if len(catalog.classes) < 2:
        names = _names(catalog.classes)
        found.append(f"It has only the class {names}: at least two are needed, each in a folder of its own.")
    found += _class_problems(catalog, splits)
    return found


def _too_many_bad(bad: Sequence[BadFile], usable: int) -> list[str]:
    counted = [file for file in bad if file.counts]
    files = usable + len(counted)
    if len(counted) <= BAD_FILES_LIMIT * files:
        return []
    share = f"{len(counted)} of {files} files ({len(counted) / files:.1%})"
    return [
        f"{share} can't be used, more than {BAD_FILES_LIMIT:.0%}: {_first(counted)}. All are listed in "
        "bad_files.csv. Repair or remove them, or go on without them: --allow-bad."
    ]


def _class_problems(catalog: Catalog, splits: Splits | None) -> list[str]:
    usable = Counter(photo.label for photo in catalog.photos)
    given = defaultdict(Counter[str], {split: Counter[str]() for split in sorted(catalog.given)})
    for photo in catalog.photos:
        if photo.split is not None:
            given[photo.split][photo.label] += 1
    found = []
    if unseen := [label for label in catalog.classes if not usable[label]]:
        found.append(f"No usable photo in the class {_names(unseen)}: add some, or remove the folder.")
    for split, counts in given.items():
        if missing := [label for label in catalog.classes if usable[label] and not counts[label]]:
            names = _names(missing) + _spelling(missing, counts)
            found.append(
                f"In another split but not in {split}: the class {names}. "
                "Add photos of it there, or remove it everywhere."
            )
    training = Counter(photo.label for photo in catalog.photos if photo.split != "test")
    if single := [label for label in catalog.classes if training[label] == 1]:
        found.append(f"Only one photo to train on in the class {_names(single)}: at least two are needed.")
    if splits is not None and not found:
        found += _emptied_classes(catalog.classes, splits)
    return found


def _emptied_classes(classes: Sequence[str], splits: Splits) -> list[str]:
    """Name classes that lost all photos of a split because equal ones stand in another."""
    found = []
    for split in ("train", "test"):
        there = {row.label for row in splits.rows if row.split == split}
        if emptied := [label for label in classes if label not in there]:
            grouped = any(photo.group is not None and photo.label in emptied for photo in splits.photos)
            why = (
                "others of their groups, or equal ones, stand in another split. Add photos of other groups."
                if grouped
                else "equal ones stand in another split, so they were left out. Remove the copies, or add photos."
            )
            found.append(f"No photo is left in {split} for the class {_names(emptied)}: {why}")
    return found


def _first(bad: Sequence[BadFile]) -> str:
    return "; ".join(f"{file.path} {file.reason}" for file in bad[:SHOWN])


def _names(labels: Sequence[str]) -> str:
    more = f" and {len(labels) - 20} more" if len(labels) > 20 else ""
    return ", ".join(labels[:20]) + more


def _spelling(missing: Sequence[str], there: Iterable[str]) -> str:
    """Ask whether a missing class is there under a name that differs in case, spaces or dashes only."""

    def plain(label: str) -> str:
        return "".join(letter for letter in label.casefold() if letter.isalnum())

    missing_plain = {plain(label) for label in missing}
    alike = [label for label in there if label not in missing and plain(label) in missing_plain]
    return f" (spelt {_names(alike)} there?)" if alike else ""
