"""One set of photos in every form that DATA can have: the same files, the same splits."""

import csv
import io
import json
import shutil
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.data.conftest import Server

from unfreeze.data.catalog import scan
from unfreeze.data.check import check
from unfreeze.data.sources import open_source
from unfreeze.data.splits import Splits, split
from unfreeze.errors import DataError

Make = Callable[[dict[str, int]], Path]
WITH_SPLITS = {"train/cat": 12, "train/dog": 9, "test/cat": 4, "test/dog": 3}
CLASSES = {"cat": 16, "dog": 12}


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("UNFREEZE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def splits_of(data: str | Path) -> Splits:
    return split(scan(open_source(data), None, 32, "squash"), 0.15, 0)


def content(data: str | Path, folder: Path) -> str:
    """Give the text of `splits.csv`."""
    splits_of(data).write(folder / "splits.csv")
    return (folder / "splits.csv").read_text(encoding="utf-8")


def list_photos(root: Path, to: Path, with_split: bool) -> Path:
    """Write a CSV of the photos in a folder."""
    with to.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["path", "label", "split"][: 2 + with_split])
        for photo in sorted(root.rglob("*.png"), reverse=True):
            path = photo.relative_to(root).as_posix()
            table.writerow([path, photo.parent.name, path.split("/")[0]][: 2 + with_split])
    return to


def pack(root: Path, to: Path, top: str = "") -> Path:
    """Pack a folder's content into an archive of the kind that its name says."""
    files = [(file, f"{top}{file.relative_to(root).as_posix()}") for file in sorted(root.rglob("*")) if file.is_file()]
    if to.suffix == ".zip":
        with zipfile.ZipFile(to, "w") as archive:
            for file, name in files:
                archive.write(file, name)
    else:
        with tarfile.open(to, "w:" + {".gz": "gz", ".bz2": "bz2", ".xz": "xz"}.get(to.suffix, "")) as archive:
            for file, name in files:
                archive.add(file, name)
    return to


ENDINGS = ("a.zip", "b.tar", "c.tar.gz", "d.tgz", "e.tar.bz2", "f.tar.xz")


@pytest.mark.parametrize("folders", [WITH_SPLITS, CLASSES], ids=["splits", "classes"])
def test_all_forms_give_the_same_splits(make_photos: Make, tmp_path: Path, server: Server, folders: dict) -> None:
    root = make_photos(folders)
    expected = content(root, tmp_path)
    assert len(expected.splitlines()) == 29
    forms: list[str | Path] = [pack(root, tmp_path / name) for name in ENDINGS[:3]]
    forms += [pack(root, tmp_path / f"top-{name}", top="my photos/2024/") for name in ENDINGS[1:]]
    table = list_photos(root, root / "photos.csv", with_split=folders is WITH_SPLITS)
    forms += [table, pack(root, tmp_path / "table.zip"), pack(root, tmp_path / "table.tgz", top="./photos/")]
    for archive in ("a.zip", "top-c.tar.gz", "table.tgz"):
        server.files[f"/{archive}"] = (tmp_path / archive).read_bytes()
        forms.append(f"{server.url}/{archive}")
    assert {str(form): content(form, tmp_path) == expected for form in forms} == dict.fromkeys(map(str, forms), True)


def food101(photos: Path, root: Path, form: str) -> Path:
    """Lay photos in split folders out as Food-101 is."""
    meta: dict[str, dict[str, list[str]]] = {"train": {}, "test": {}}
    for photo in sorted(photos.rglob("*.png")):
        part, label = photo.relative_to(photos).parts[:2]
        file = root / "images" / label / f"{part}-{photo.stem}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(photo, file)
        meta[part].setdefault(label, []).append(f"{label}/{file.stem}")
    (root / "meta").mkdir()
    for part, listed in meta.items():
        names = [name for label in listed.values() for name in label]
        (root / "meta" / f"{part}.{form}").write_text(json.dumps(listed) if form == "json" else "\n".join(names) + "\n")
    (root / "meta" / "classes.txt").write_text("cat\ndog\n")
    return root


@pytest.mark.parametrize("form", ["json", "txt"])
def test_food101s_layout_gives_the_splits_that_its_lists_say(make_photos: Make, tmp_path: Path, form: str) -> None:
    photos = make_photos(WITH_SPLITS)
    root = food101(photos, tmp_path / "food-101", form)
    source = open_source(root)
    assert (source.name, source.splits_given, source.notice, source.strays) == ("food-101", True, None, ())
    found = {(row.sha256, row.label, row.split, row.rank) for row in splits_of(root).rows}
    assert found == {(row.sha256, row.label, row.split, row.rank) for row in splits_of(photos).rows}

    packed = pack(root, tmp_path / "food-101.tar.gz", top="food-101/")
    assert content(packed, tmp_path) == content(root, tmp_path)
    with (root / "all.csv").open("w", encoding="utf-8") as table:
        table.write("path,label,split\n")
        table.writelines(f"{item.path},{item.label},{item.split}\n" for item in source.items)
    assert content(root / "all.csv", tmp_path) == content(packed, tmp_path)


def test_names_and_roots(make_photos: Make, tmp_path: Path, own_cache: Path, server: Server) -> None:
    root = make_photos(WITH_SPLITS)
    archive = pack(root, tmp_path / "my.photos.tar.gz", top="inner/")
    server.files["/x/other%20name.zip"] = pack(root, tmp_path / "b.zip").read_bytes()
    for data, name in ((archive, "my.photos"), (f"{server.url}/x/other%20name.zip?dl=1", "other name")):
        server.files["/x/other%20name.zip?dl=1"] = server.files["/x/other%20name.zip"]
        source = open_source(data)
        assert source.name == name
        assert source.root.is_relative_to(own_cache / "sources")
        assert all(item.file == source.root / item.path and item.file.is_file() for item in source.items)


def test_a_listed_file_that_is_not_there_is_a_bad_file(make_photos: Make) -> None:
    root = make_photos(CLASSES)
    table = list_photos(root, root / "photos.csv", with_split=False)
    table.write_text(table.read_text() + "cat/missing.jpg,cat\ncat,cat\n")
    bad = scan(open_source(table), None, 32, "squash").bad
    assert [(file.path, file.reason, file.counts) for file in bad] == [
        ("cat", "is no regular file", False),
        ("cat/missing.jpg", "is not there", True),
    ]


def test_groups_of_a_table_reach_the_splits(make_photos: Make, tmp_path: Path) -> None:
    root = make_photos({"cat": 40, "dog": 40})
    lines = [
        f"{label}/{number:03}.png,{label},{label} {number // 4}" for label in ("cat", "dog") for number in range(40)
    ]
    (root / "photos.csv").write_text("path,label,group\n" + "\n".join(lines))
    where: dict[tuple[str, int], set[str]] = {}
    for row in splits_of(root / "photos.csv").rows:
        where.setdefault((row.label, int(row.path[4:7]) // 4), set()).add(row.split)
    assert sorted(map(sorted, where.values())) == [["test"]] * 5 + [["train"]] * 13 + [["val"]] * 2


def test_check_takes_any_form(make_photos: Make, tmp_path: Path) -> None:
    root = make_photos(WITH_SPLITS)
    assert check(pack(root, tmp_path / "photos.zip")) == check(root)


def test_a_zip_of_one_split_is_not_taken_for_its_classes(make_photos: Make, tmp_path: Path) -> None:
    root = make_photos({"train/cat": 8, "train/dog": 8})
    assert content(pack(root, tmp_path / "photos.zip"), tmp_path) == content(root, tmp_path)


def test_a_stray_table_that_lists_no_photos_changes_nothing(make_photos: Make, tmp_path: Path) -> None:
    root = make_photos(WITH_SPLITS)
    (root / "notes.csv").write_text("who,when\n")
    assert content(pack(root, tmp_path / "photos.zip"), tmp_path) == content(root, tmp_path)


def refused(data: str | Path) -> str:
    with pytest.raises(DataError) as error:
        open_source(data)
    return str(error.value)


def test_errors_call_an_archive_by_the_users_name(make_photos: Make, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "empty.zip", "w") as archive:
        archive.writestr("train/README.txt", "hello")
    assert refused(tmp_path / "empty.zip").startswith(f"{tmp_path / 'empty.zip'}/train has no class folders: ")
    root = make_photos(CLASSES)
    for name in ("a.csv", "b.csv"):
        list_photos(root, root / name, with_split=False)
    message = refused(pack(root, tmp_path / "two.zip"))
    assert message == f"{tmp_path / 'two.zip'} has several tables of photos (a.csv, b.csv): leave one of them."
    (root / "b.csv").write_text("path,label\n")
    (root / "a.csv").unlink()
    assert refused(pack(root, tmp_path / "c.zip")).startswith(f"{tmp_path / 'c.zip'}/b.csv has a header but no rows")
    (tmp_path / "text.zip").write_text("not a zip")
    assert refused(tmp_path / "text.zip") == (
        f"{tmp_path / 'text.zip'} is damaged, or no zip or tar archive: get it again."
    )


def test_an_archive_without_an_ending_is_known_by_its_content(make_photos: Make, tmp_path: Path) -> None:
    packed = pack(make_photos(WITH_SPLITS), tmp_path / "photos.zip").rename(tmp_path / "download")
    assert open_source(packed).name == "download"


@pytest.mark.parametrize(
    ("meta", "expected"),
    [
        ({"train.json": '{"cat": ["cat/1"]}'}, "food has images and meta as Food-101, but no meta/test.json."),
        (
            {"train.json": '{"cat": ["cat/1"]}', "test.json": '{"cat": ["cat/1"]}'},
            "puts cat/1 into both train and test",
        ),
        ({"train.json": "{", "test.json": "{}"}, "train.json is no list of photos such as pizza/1008104: "),
        ({"train.json": '["cat/1"]', "test.json": "{}"}, "train.json is no list of photos such as pizza/1008104: "),
        (
            {"train.json": '{"cat": ["../1"]}', "test.json": "{}"},
            "train.json is no list of photos such as pizza/1008104: ",
        ),
        ({"train.txt": "cat\n", "test.txt": "cat/2\n"}, "'cat' has no class"),
        ({"train.txt": "cat/1\n", "test.txt": "\n"}, "test.txt is empty: it lists the photos of test."),
    ],
)
def test_lists_of_food101_that_are_wrong(tmp_path: Path, meta: dict[str, str], expected: str) -> None:
    (tmp_path / "food" / "images" / "cat").mkdir(parents=True)
    (tmp_path / "food" / "meta").mkdir()
    for name, text in meta.items():
        (tmp_path / "food" / "meta" / name).write_text(text)
    assert expected in refused(tmp_path / "food")


def test_photos_in_no_list_of_food101_are_counted_and_missing_ones_are_bad(make_photos: Make, tmp_path: Path) -> None:
    root = food101(make_photos(WITH_SPLITS), tmp_path / "food-101", "txt")
    (root / "images" / "cat" / "train-000.jpg").rename(root / "images" / "cat" / "more.jpg")
    source = open_source(root)
    assert source.notice == "Not used, being in neither list of meta: 1 files in images."
    assert [file.path for file in scan(source, None, 32, "squash").bad] == ["images/cat/train-000.jpg"]


def test_food101_one_folder_deeper_is_pointed_to(make_photos: Make, tmp_path: Path) -> None:
    root = food101(make_photos(WITH_SPLITS), tmp_path / "outer" / "food-101", "json")
    assert refused(tmp_path / "outer") == (
        f"{tmp_path / 'outer'} is not laid out as Food-101, but the one folder in it is: give {root}."
    )


def test_how_an_archive_is_packed_has_no_say(make_photos: Make, tmp_path: Path) -> None:
    root = make_photos(CLASSES)
    first, second = pack(root, tmp_path / "a.zip"), io.BytesIO()
    with zipfile.ZipFile(second, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(root.rglob("*.png"), reverse=True):
            archive.write(file, file.relative_to(root))
    (tmp_path / "b.zip").write_bytes(second.getvalue())
    assert open_source(first).root != open_source(tmp_path / "b.zip").root
    assert content(first, tmp_path) == content(tmp_path / "b.zip", tmp_path)
