"""What stops a run before it trains, and what `unfreeze check` tells."""

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from unfreeze.data.catalog import BadFile, Catalog, Photo
from unfreeze.data.check import describe
from unfreeze.data.checkup import ensure_usable, problems
from unfreeze.data.items import SplitName
from unfreeze.data.splits import split
from unfreeze.errors import DataError


def photos_of(label: str, count: int, given: SplitName | None = None, start: int = 0) -> list[Photo]:
    folder = f"{given}/{label}" if given else label
    names = [f"{folder}/{number}.jpg" for number in range(start, start + count)]
    return [Photo(name, Path(name), label, given, label, name, name, 40 + len(name), 30) for name in names]


def catalog_of(*groups: Sequence[Photo], bad: Sequence[BadFile] = (), classes: Sequence[str] = ()) -> Catalog:
    photos = tuple(photo for group in groups for photo in group)
    labels = tuple(sorted({*classes, *(photo.label for photo in photos)}))
    given = frozenset(photo.split for photo in photos if photo.split)
    return Catalog("shop", Path("/data/shop"), labels, photos, tuple(bad), None, given)


GOOD = catalog_of(
    photos_of("pear", 10, "train"),
    photos_of("plum", 10, "train"),
    photos_of("pear", 3, "test"),
    photos_of("plum", 3, "test"),
)


def bad_files(count: int, counts: bool = True) -> list[BadFile]:
    return [BadFile(f"pear/bad{number}.jpg", "is empty", counts) for number in range(count)]


def test_a_sound_data_set_passes() -> None:
    ensure_usable(GOOD, None, allow_bad=False)
    ensure_usable(GOOD, split(GOOD, 0.15, 0), allow_bad=False)


def test_five_percent_of_bad_files_pass_and_more_stop() -> None:
    groups = photos_of("pear", 50), photos_of("plum", 45)
    ensure_usable(catalog_of(*groups, bad=bad_files(5)), None, allow_bad=False)
    with pytest.raises(DataError) as error:
        ensure_usable(catalog_of(*groups, bad=bad_files(6)), None, allow_bad=False)
    assert str(error.value) == (
        f"shop ({Path('/data/shop')}) can't be used:\n"
        "- 6 of 101 files (5.9%) can't be used, more than 5%: pear/bad0.jpg is empty; pear/bad1.jpg is "
        "empty; pear/bad2.jpg is empty; pear/bad3.jpg is empty; pear/bad4.jpg is empty. All are listed in "
        "bad_files.csv. Repair or remove them, or go on without them: --allow-bad."
    )
    ensure_usable(catalog_of(*groups, bad=bad_files(6)), None, allow_bad=True)


def test_files_that_are_no_photos_do_not_count_as_bad() -> None:
    ensure_usable(dataclasses.replace(GOOD, bad=tuple(bad_files(50, counts=False))), None, allow_bad=False)


def test_no_usable_photo() -> None:
    with pytest.raises(DataError, match=r"- None of its 2 files is a usable photo: pear/bad0.jpg is empty; "):
        ensure_usable(catalog_of(bad=bad_files(2), classes=["pear"]), None, allow_bad=True)


def test_one_class() -> None:
    found = problems(catalog_of(photos_of("pear", 9)), None)
    assert found == ["It has only the class pear: at least two are needed, each in a folder of its own."]


def test_a_class_with_one_photo() -> None:
    found = problems(catalog_of(photos_of("pear", 9), photos_of("plum", 1)), None)
    assert found == ["Only one photo to train on in the class plum: at least two are needed."]
    given = catalog_of(GOOD.photos, photos_of("fig", 1, "train"), photos_of("fig", 4, "test"))
    assert problems(given, None) == ["Only one photo to train on in the class fig: at least two are needed."]


def test_a_class_without_a_usable_photo() -> None:
    found = problems(dataclasses.replace(GOOD, classes=("fig", "pear", "plum")), None)
    assert found == ["No usable photo in the class fig: add some, or remove the folder."]


def test_classes_missing_from_a_split_are_named_with_a_like_spelling() -> None:
    groups = [
        photos_of("Blue Fig", 4, "train"),
        photos_of("blue_fig", 4, "test"),
        photos_of("date", 4, "test"),
    ]
    assert problems(catalog_of(GOOD.photos, *groups), None) == [
        "In another split but not in test: the class Blue Fig (spelt blue_fig there?). "
        "Add photos of it there, or remove it everywhere.",
        "In another split but not in train: the class blue_fig, date (spelt Blue Fig there?). "
        "Add photos of it there, or remove it everywhere.",
    ]


def test_a_test_split_without_a_usable_photo_is_not_replaced() -> None:
    catalog = catalog_of(photos_of("pear", 10, "train"), photos_of("plum", 10, "train"))
    catalog = dataclasses.replace(catalog, given=frozenset({"train", "test"}))
    splits = split(catalog, 0.15, 0)
    assert splits.counts()["test"] == 0
    assert problems(catalog, splits) == [
        "In another split but not in test: the class pear, plum. Add photos of it there, or remove it everywhere."
    ]


def test_a_class_whose_training_photos_all_stand_in_test() -> None:
    copies = [dataclasses.replace(photo, pixels_sha256="fig") for photo in photos_of("fig", 3, "train")]
    tested = [dataclasses.replace(photo, pixels_sha256="fig") for photo in photos_of("fig", 1, "test")]
    catalog = catalog_of(GOOD.photos, copies, tested)
    assert problems(catalog, None) == []
    assert problems(catalog, split(catalog, 0.15, 0)) == [
        "No photo is left in train for the class fig: equal ones stand in another split, "
        "so they were left out. Remove the copies, or add photos."
    ]


def test_all_problems_come_in_one_message() -> None:
    catalog = catalog_of(photos_of("pear", 9), photos_of("plum", 1), bad=bad_files(5), classes=["fig"])
    with pytest.raises(DataError) as error:
        ensure_usable(catalog, None, allow_bad=False)
    lines = str(error.value).splitlines()
    assert [line[:20] for line in lines[1:]] == [
        "- 5 of 15 files (33.",
        "- No usable photo in",
        "- Only one photo to ",
    ]


def test_check_gives_the_contracts_document() -> None:
    pears = photos_of("pear", 2, "train", 90)
    twins = [dataclasses.replace(photo, pixels_sha256="test/pear/0.jpg") for photo in pears]
    copy = dataclasses.replace(photos_of("plum", 1, "test", 91)[0], pixels_sha256="test/plum/0.jpg")
    bad = [BadFile("train/x.txt", "is no photo", False)]
    catalog = catalog_of(GOOD.photos, [*twins, copy], bad=bad)
    found = describe(catalog, split(catalog, 0.2, 0))
    document = found.to_json()
    assert json.loads(json.dumps(document)) == document
    assert {key: document[key] for key in ("images", "classes", "splits", "bad", "twins")} == {
        "images": 29,
        "classes": {"pear": 15, "plum": 14},
        "splits": {"train": 16, "val": 4, "test": 7, "left_out": 2},
        "bad": [{"path": "train/x.txt", "reason": "is no photo"}],
        "twins": [
            {
                "paths": ["test/pear/0.jpg", "train/pear/90.jpg", "train/pear/91.jpg"],
                "splits": ["test", "train", "train"],
            }
        ],
    }
    assert document["duplicates"] == [["test/plum/0.jpg", "test/plum/91.jpg"]]
    assert (document["smallest"], document["largest"]) == ([55, 30], [57, 30])
    assert document["problems"] == []


def test_check_works_on_an_unusable_data_set() -> None:
    catalog = catalog_of(bad=bad_files(1), classes=["pear"])
    found = describe(catalog, split(catalog, 0.15, 0))
    assert (found.images, found.classes, found.smallest) == (0, {"pear": 0}, None)
    assert found.to_json()["problems"] == ["None of its 1 files is a usable photo: pear/bad0.jpg is empty."]
