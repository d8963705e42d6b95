"""Folders and names as lists of labelled files."""

import errno
import unicodedata
from collections import Counter
from pathlib import Path

import pytest

from unfreeze.data.photo_files import photo_files
from unfreeze.data.sources import open_source
from unfreeze.errors import DataError


def make(root: Path, *files: str) -> Path:
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_bytes(b"photo")
    return root


def listed(root: Path) -> list[tuple[str, str, str | None]]:
    return [(item.path, item.label, item.split) for item in open_source(root).items]


def test_split_folders_in_any_case_with_photos_at_any_depth(tmp_path: Path) -> None:
    root = make(tmp_path, "Train/pizza/b.jpg", "Train/pizza/2024/may/a.jpg", "Train/steak/c.jpg", "TEST/pizza/d.jpg")
    assert listed(root) == [
        ("TEST/pizza/d.jpg", "pizza", "test"),
        ("Train/pizza/2024/may/a.jpg", "pizza", "train"),
        ("Train/pizza/b.jpg", "pizza", "train"),
        ("Train/steak/c.jpg", "steak", "train"),
    ]
    source = open_source(root)
    assert source.splits_given
    assert source.name == tmp_path.name
    assert source.notice is None
    assert all(item.file == root / item.path and item.stratum == item.label for item in source.items)


@pytest.mark.parametrize("name", ["val", "valid", "validation", "Valid"])
def test_validation_folder_has_several_names(tmp_path: Path, name: str) -> None:
    root = make(tmp_path, "train/a/1.jpg", "test/a/2.jpg", f"{name}/a/3.jpg")
    assert (f"{name}/a/3.jpg", "a", "val") in listed(root)


def test_class_folders_leave_the_split_open_and_say_so(tmp_path: Path) -> None:
    root = make(tmp_path, "cat/1.jpg", "dog/2.jpg")
    assert listed(root) == [("cat/1.jpg", "cat", None), ("dog/2.jpg", "dog", None)]
    source = open_source(str(root))
    assert not source.splits_given
    assert source.notice == "No test split is given: 25% of the photos are kept for test."


def test_train_without_test_says_that_test_is_carved(tmp_path: Path) -> None:
    source = open_source(make(tmp_path, "train/a/1.jpg", "val/a/2.jpg"))
    assert not source.splits_given
    assert source.notice == "No test split is given: 25% of the photos in train are kept for test."


def test_a_class_may_be_named_train(tmp_path: Path) -> None:
    root = make(tmp_path, "bus/1.jpg", "train/2.jpg")
    assert listed(root) == [("bus/1.jpg", "bus", None), ("train/2.jpg", "train", None)]


def test_folders_beside_the_splits_are_named(tmp_path: Path) -> None:
    source = open_source(make(tmp_path, "train/a/1.jpg", "test/a/1.jpg", "raw/1.jpg", "meta/x.txt"))
    assert source.notice == "Not used, being neither train, val nor test: meta, raw."


def test_files_beside_the_class_folders_are_strays(tmp_path: Path) -> None:
    source = open_source(make(tmp_path, "README.md", "train/loose.jpg", "train/a/1.jpg", "test/a/1.jpg"))
    assert source.strays == ("README.md", "train/loose.jpg")


def test_hidden_and_system_files_are_passed_over(tmp_path: Path) -> None:
    root = make(tmp_path, "a/1.jpg", "a/.hidden.jpg", "a/Thumbs.db", "a/desktop.ini", ".git/x/1.jpg", "b/2.jpg")
    make(root, "__MACOSX/a/1.jpg", "b/.ipynb_checkpoints/2.jpg", ".DS_Store")
    assert [path for path, _, _ in listed(root)] == ["a/1.jpg", "b/2.jpg"]
    assert open_source(root).strays == ()


def test_the_same_class_name_spelt_with_other_code_points_is_one_class(tmp_path: Path) -> None:
    name = "crème brûlée"
    decomposed, composed = unicodedata.normalize("NFD", name), unicodedata.normalize("NFC", name)
    root = make(tmp_path, f"train/{decomposed}/1.jpg", f"test/{composed}/2.jpg")
    assert {label for _, label, _ in listed(root)} == {composed}


def test_linked_folders_are_followed_once(tmp_path: Path) -> None:
    root = make(tmp_path / "data", "a/1.jpg", "b/2.jpg")
    outside = make(tmp_path / "elsewhere", "3.jpg")
    (root / "c").symlink_to(outside)
    (root / "a" / "again").symlink_to(outside)
    (root / "a" / "and_again").symlink_to(outside)
    assert [path for path, _, _ in listed(root)] == ["a/1.jpg", "a/again/3.jpg", "b/2.jpg", "c/3.jpg"]


def test_loops_of_links_end(tmp_path: Path) -> None:
    root = make(tmp_path, "a/x/1.jpg", "a/y/2.jpg", "b/3.jpg")
    (root / "a" / "x" / "up").symlink_to(root)
    (root / "a" / "x" / "self").symlink_to(root / "a" / "x")
    (root / "a" / "x" / "y").symlink_to(root / "a" / "y")
    (root / "a" / "y" / "x").symlink_to(root / "a" / "x")
    (root / "all").symlink_to(root)
    (root / "b" / "knot").symlink_to(root / "b" / "knot")
    found = listed(root)
    assert {label for _, label, _ in found} == {"a", "b"}
    assert Counter(Path(path).name for path, _, _ in found) == {"1.jpg": 1, "2.jpg": 1, "3.jpg": 1, "knot": 1}


def test_elpv_is_read_from_its_package() -> None:
    source = open_source("elpv")
    assert source.name == "elpv"
    assert not source.splits_given
    assert Counter(item.label for item in source.items) == {"functional": 1803, "defective": 821}
    # Published table of labels by wafer: mono 588, 117, 56, 313; poly 920, 178, 50, 402.
    assert Counter(item.stratum for item in source.items) == {
        "mono 0.00": 588,
        "mono 0.33": 117,
        "mono 0.67": 56,
        "mono 1.00": 313,
        "poly 0.00": 920,
        "poly 0.33": 178,
        "poly 0.67": 50,
        "poly 1.00": 402,
    }
    assert all(item.split is None and item.file.is_file() for item in source.items)
    assert source.notice is not None
    assert "CC BY-NC-SA 4.0: not for commercial use" in source.notice
    assert "photos of one module may stand in both train and test" in source.notice


def test_elpv_without_its_package_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(
        DataError, match=r"The photos of elpv are not installed. They come with: pip install elpv-dataset"
    ):
        open_source("elpv")


def test_a_folder_of_a_known_name_is_opened_by_its_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "elpv/cat/1.jpg", "elpv/dog/1.jpg")
    monkeypatch.chdir(tmp_path)
    assert [item.label for item in open_source("./elpv").items] == ["cat", "dog"]


FORMS = (
    r"Give a folder with train/CLASS/\* and test/CLASS/\* .*, a folder of CLASS/\*, Food-101's own folder, a CSV with "
    r"path,label\[,split\]\[,group\], a zip or tar of any of these, the URL of one, "
    r"or the name of a data set \(elpv, food-vision\)\."
)


def test_what_is_not_there_is_named_with_what_is_allowed(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=rf"^nowhere is neither a folder, a file, nor the name of a data set\. {FORMS}"):
        open_source("nowhere")
    file = make(tmp_path, "photos.pdf") / "photos.pdf"
    with pytest.raises(
        DataError, match=rf"photos.pdf is a file that is neither a CSV nor a zip or tar archive\. {FORMS}"
    ):
        open_source(file)


@pytest.mark.parametrize("files", [[], ["1.jpg", "2.jpg"]])
def test_a_folder_without_class_folders(tmp_path: Path, files: list[str]) -> None:
    make(tmp_path, *files)
    with pytest.raises(DataError, match="has no class folders: each class needs a folder with its photos"):
        open_source(tmp_path)


def test_split_folders_with_loose_photos_only_are_not_taken_for_classes(tmp_path: Path) -> None:
    make(tmp_path, "train/1.jpg", "test/2.jpg")
    with pytest.raises(DataError, match=r"test has no class folders. If its photos have no labels, give .*train"):
        open_source(tmp_path)
    make(tmp_path, "test/a/1.jpg")
    with pytest.raises(DataError, match="train has no class folders: each class needs a folder with its photos"):
        open_source(tmp_path)


def test_empty_class_folders_are_all_named(tmp_path: Path) -> None:
    root = make(tmp_path, "a/1.jpg", "b/.hidden")
    (root / "c" / "deeper").mkdir(parents=True)
    with pytest.raises(DataError) as error:
        open_source(root)
    assert str(error.value) == (
        f"A class folder is empty: {root / 'b'}, {root / 'c'}. "
        "Put photos into it, or remove it if there is no such class."
    )


def test_test_without_train(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"has test, val but no train: add train/CLASS/\*, or give a folder of CLASS/\*"
    ):
        open_source(make(tmp_path, "test/a/1.jpg", "val/a/1.jpg"))


def test_two_folders_for_one_split(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has two folders for val, val and valid: remove one of them"):
        open_source(make(tmp_path, "train/a/1.jpg", "val/a/1.jpg", "valid/a/1.jpg"))


def test_splits_one_folder_deeper_are_pointed_to(tmp_path: Path) -> None:
    make(tmp_path, "10_food_classes/train/a/1.jpg", "10_food_classes/test/a/1.jpg")
    with pytest.raises(DataError, match=r"has no splits, but the one folder in it has: give .*10_food_classes"):
        open_source(tmp_path)


def test_a_folder_that_can_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make(tmp_path, "a/1.jpg", "b/1.jpg")
    iterdir = Path.iterdir

    def refuse(folder: Path):
        if folder == root / "a":
            raise PermissionError(errno.EACCES, "Permission denied")
        return iterdir(folder)

    monkeypatch.setattr(Path, "iterdir", refuse)
    with pytest.raises(DataError, match=r"a can't be read \(Permission denied\): check its permissions"):
        open_source(root)


def test_photo_files_are_a_file_itself_or_a_folders_photos(tmp_path: Path) -> None:
    make(tmp_path, "b.jpg", "a/2.PNG", "a/1.jpg", "a/notes.txt", ".hidden.jpg", "c/x/broken.webp")
    (tmp_path / "a" / "no_ending").write_bytes(b"\xff\xd8\xff\xe0")
    (tmp_path / "gone.jpg").symlink_to(tmp_path / "nowhere")
    found = [file.relative_to(tmp_path).as_posix() for file in photo_files(tmp_path)]
    assert found == ["a/1.jpg", "a/2.PNG", "a/no_ending", "b.jpg", "c/x/broken.webp", "gone.jpg"]
    assert photo_files(tmp_path / "a" / "notes.txt") == [tmp_path / "a" / "notes.txt"]
    assert photo_files(tmp_path / "missing.jpg") == [tmp_path / "missing.jpg"]
