"""Tables of photos: what they may say, and what is said where they are wrong."""

from pathlib import Path

import pytest

from unfreeze.data.items import Source, inner_path
from unfreeze.data.sources import open_source
from unfreeze.errors import DataError


def opened(folder: Path, text: str, encoding: str = "utf-8") -> Source:
    (folder / "photos.csv").write_bytes(text.encode(encoding))
    return open_source(folder / "photos.csv")


def message(folder: Path, text: str, encoding: str = "utf-8") -> str:
    with pytest.raises(DataError) as error:
        opened(folder, text, encoding)
    return str(error.value).replace(str(folder), "F")


def test_rows_are_photos_with_paths_from_the_tables_folder(tmp_path: Path) -> None:
    source = opened(
        tmp_path, "path,label,split,group\nb/2.jpg,dog,Train,x\n./a/1.jpg, cat ,TEST,\nb\\3.jpg,cat,valid,y\n"
    )
    assert (source.name, source.root, source.splits_given, source.notice) == ("photos", tmp_path, True, None)
    found = [(item.path, item.label, item.split, item.group) for item in source.items]
    assert found == [
        ("a/1.jpg", "cat", "test", None),
        ("b/2.jpg", "dog", "train", "x"),
        ("b/3.jpg", "cat", "val", "y"),
    ]
    assert all(item.file == tmp_path / item.path and item.stratum == item.label for item in source.items)


def test_without_splits_it_says_that_test_is_carved(tmp_path: Path) -> None:
    source = opened(tmp_path, "path,label\na,x\nb,y\n")
    assert [item.split for item in source.items] == [None, None]
    assert source.notice == "No test split is given: 25% of the photos are kept for test."
    with_train = opened(tmp_path, "path,label,split\na,x,train\nb,y,val\n")
    assert with_train.notice == "No test split is given: 25% of the photos in train are kept for test."
    assert not with_train.splits_given


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_byte_order_marks_line_ends_quotes_and_empty_lines_are_read(tmp_path: Path, encoding: str, end: str) -> None:
    text = end.join(["Label,PATH,width", '"a, b","x, ""y"".jpg",5', "", "crème,é.jpg,6"])
    source = opened(tmp_path, text, encoding)
    assert [(item.path, item.label) for item in source.items] == [('x, "y".jpg', "a, b"), ("é.jpg", "crème")]
    assert source.notice is not None
    assert source.notice.endswith("Columns that are not used: width.")


def test_a_row_that_stands_twice_counts_once(tmp_path: Path) -> None:
    assert len(opened(tmp_path, "path,label\na.jpg,x\nb.jpg,y\n./a.jpg,x\n").items) == 2


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "F/photos.csv has no column path and no column label. Its first line must be path,label"),
        ("file,label\na,b\n", "F/photos.csv has no column path. Its first line must be path,label"),
        ("path;label\na;b\n", "separated by commas; it is 'path;label'."),
        ("path,label,path\na,b,c\n", "F/photos.csv has the column 'path' twice: remove one of them."),
        (
            "path,label\n\n",
            "F/photos.csv has a header but no rows: list a photo a line, as path,label[,split][,group].",
        ),
        ("path,label\na.jpg,\n", "- line 2: a.jpg has no label"),
        ("path,label\n,x\n", "- line 2: the path is empty"),
        ("path,label\na.jpg\n", "- line 2: 1 cells under 2 columns; quote cells that hold commas"),
        (
            "path,label\na.jpg,x\na.jpg,y\n",
            "- line 3: a.jpg stands in line 2 with the label x and here with y; list it",
        ),
        (
            "path,label,split\na,x,train\na,x,test\n",
            "- line 3: a stands in line 2 with the split train and here with test",
        ),
        (
            "path,label,split\na,x,dev\n",
            "- line 2: a has the split 'dev'; allowed is train, val or test in every row, or no",
        ),
        (
            "path,label,split\na,x,train\nb,x,\n",
            "- line 3: b has the split ''; allowed is train, val or test in every row",
        ),
        ("path,label,split\na,x,test\nb,y,val\n", "F/photos.csv puts no photo into train: the column split needs rows"),
        (
            "path,label,split,group\na,x,train,cell 7\nb,x,val,cell 7\n",
            "- line 3: group cell 7 is in val here and in train in line 2; photos of one group belong into one split",
        ),
        (
            "path,label\n/etc/a.jpg,x\n",
            "- line 2: /etc/a.jpg is an absolute path; paths start from the CSV's folder and",
        ),
        ("path,label\nC:\\a.jpg,x\n", "- line 2: C:\\a.jpg is an absolute path"),
        ("path,label\nx/../../a.jpg,x\n", "- line 2: x/../../a.jpg leads out of the folder"),
        ('path,label\n"a"b,x\n', "F/photos.csv is damaged in line 2: "),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path: Path, text: str, expected: str) -> None:
    assert expected in message(tmp_path, text)


def test_all_mistakes_are_named_up_to_ten(tmp_path: Path) -> None:
    rows = [f"{number}.jpg," for number in range(13)]
    lines = message(tmp_path, "\n".join(["path,label", *rows])).splitlines()
    assert lines[0] == "F/photos.csv can't be used:"
    assert lines[1:11] == [f"- line {number + 2}: {number}.jpg has no label" for number in range(10)]
    assert lines[11:] == ["- and 3 more"]


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_other_encodings_are_named(tmp_path: Path, encoding: str) -> None:
    found = message(tmp_path, "path,label\ncrème.jpg,x\n", encoding)
    assert "F/photos.csv is not written in UTF-8 (byte " in found
    assert "save it again as CSV in UTF-8" in found


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("a/b.jpg", "a/b.jpg"),
        ("./a//b.jpg", "a/b.jpg"),
        ("a\\b.jpg", "a/b.jpg"),
        ("a/../b.jpg", "b.jpg"),
        ("..a", "..a"),
    ],
)
def test_paths_inside_are_brought_to_one_form(text: str, path: str) -> None:
    assert inner_path(text) == path


@pytest.mark.parametrize(
    "text", ["/a", "\\a", "//host/a", "\\\\host\\a", "C:a", "c:\\a", "..", "../a", "a/../..", "./", "a\0b"]
)
def test_paths_that_are_not_inside_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is an absolute path|leads out of the folder|names no file"):
        inner_path(text)
