"""Photos listed in a table: CSV with the columns `path,label[,split][,group]`."""

import csv
import io
import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path

from unfreeze.data.items import NO_TEST, NO_TEST_BUT_TRAIN, SPLIT_FOLDERS, Item, Source, inner_path, sort_items
from unfreeze.errors import DataError

NEEDED = ("path", "label")
OPTIONAL = ("split", "group")
COLUMNS = "path,label[,split][,group]"

SHOWN = 10
"""Mistakes named in a message; the rest are counted."""

Row = Mapping[str, str]


def open_csv(file: Path) -> Source:
    """List the photos of a table; the root is the folder that it lies in.

    Paths start from that folder and stay in it, so that they mean the same on every machine. A file that is listed
    but not there is a bad file like any other. The group is any text; without one a photo stands for itself.

    Args:
        file: UTF-8, with or without a byte order mark; a header, then a line a photo.

    Raises:
        DataError: it is no such table; the message lists what is wrong by line.
    """
    columns, lines = _read(file)
    if missing := [name for name in NEEDED if name not in columns]:
        raise DataError(
            f"{file} has no column {' and no column '.join(missing)}. Its first line must be {COLUMNS}, separated by "
            f"commas; it is {','.join(columns)!r}."
        )
    table = _Table(file.parent, "split" in columns)
    for number, cells in lines:
        table.add(number, columns, cells)
    table.raise_mistakes(file)
    items = list(table.items.values())
    notices = []
    given = {item.split for item in items}
    if "test" not in given:
        notices.append(NO_TEST if given == {None} else NO_TEST_BUT_TRAIN)
    if unused := [name for name in columns if name not in (*NEEDED, *OPTIONAL)]:
        notices.append(f"Columns that are not used: {', '.join(unused)}.")
    return Source(file.stem, file.parent, sort_items(items), "test" in given, " ".join(notices) or None)


def is_photo_table(file: Path) -> bool:
    """Tell by its header whether a file is a CSV that lists photos."""
    try:
        return file.suffix.lower() == ".csv" and set(NEEDED) <= set(_read(file)[0])
    except (DataError, OSError):
        return False


class _Table:
    """Reads rows and keeps what is wrong with them."""

    def __init__(self, root: Path, has_splits: bool):
        self.items: dict[str, Item] = {}
        self._root, self._has_splits = root, has_splits
        self._lines: dict[str, int] = {}
        self._groups: dict[str, tuple[int, Item]] = {}
        self._mistakes: list[str] = []

    def add(self, number: int, columns: tuple[str, ...], cells: list[str]) -> None:
        """Read the cells of line `number`."""
        try:
            if len(cells) != len(columns):
                raise ValueError(f"{len(cells)} cells under {len(columns)} columns; quote cells that hold commas")
            item = self._item(dict(zip(columns, (cell.strip() for cell in cells), strict=True)))
            self._keep(number, item)
        except ValueError as error:
            self._mistakes.append(f"line {number}: {error}")

    def raise_mistakes(self, file: Path) -> None:
        """Raise a DataError if there was a mistake, or nothing at all."""
        if len(self._mistakes) > SHOWN:
            self._mistakes[SHOWN:] = [f"and {len(self._mistakes) - SHOWN} more"]
        if self._mistakes:
            raise DataError(f"{file} can't be used:\n" + "\n".join(f"- {mistake}" for mistake in self._mistakes))
        if not self.items:
            raise DataError(f"{file} has a header but no rows: list a photo a line, as {COLUMNS}.")
        if {item.split for item in self.items.values()} in ({"test"}, {"val"}, {"test", "val"}):
            raise DataError(f"{file} puts no photo into train: the column split needs rows with train, too.")

    def _item(self, row: Row) -> Item:
        if not row["path"]:
            raise ValueError("the path is empty")
        try:
            path = inner_path(row["path"])
        except ValueError as error:
            raise ValueError(f"{row['path']} {error}; paths start from the CSV's folder and stay in it") from None
        label = unicodedata.normalize("NFC", row["label"])
        if not label:
            raise ValueError(f"{path} has no label")
        split = None
        if self._has_splits:
            split = SPLIT_FOLDERS.get(row["split"].lower())
            if split is None:
                raise ValueError(
                    f"{path} has the split {row['split']!r}; allowed is train, val or test in every row, "
                    "or no column split"
                )
        return Item(path, self._root / path, label, split, label, row.get("group") or None)

    def _keep(self, number: int, item: Item) -> None:
        if (known := self.items.setdefault(item.path, item)) != item:
            column = next(name for name in ("label", "split", "group") if getattr(known, name) != getattr(item, name))
            raise ValueError(
                f"{item.path} stands in line {self._lines[item.path]} with the {column} {getattr(known, column)} "
                f"and here with {getattr(item, column)}; list it once"
            )
        self._lines.setdefault(item.path, number)
        if item.group is None:
            return
        first, other = self._groups.setdefault(item.group, (number, item))
        if other.split != item.split:
            raise ValueError(
                f"group {item.group} is in {item.split} here and in {other.split} in line {first}; photos of one group "
                "belong into one split"
            )


def _read(file: Path) -> tuple[tuple[str, ...], Iterator[tuple[int, list[str]]]]:
    """Give the column names of a table, and its other lines with their numbers."""
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{file} is not written in UTF-8 (byte {error.start} says so): save it again as CSV in UTF-8."
        ) from error
    except OSError as error:
        raise DataError(f"{file} can't be read ({error.strerror}).") from error
    lines = _numbered(file, csv.reader(io.StringIO(text, newline=""), skipinitialspace=True, strict=True))
    _, header = next(lines, (1, []))
    columns = tuple(name.strip().lower() for name in header)
    if twice := [name for name in dict.fromkeys(columns) if columns.count(name) > 1]:
        raise DataError(f"{file} has the column {twice[0]!r} twice: remove one of them.")
    return columns, lines


def _numbered(file: Path, reader) -> Iterator[tuple[int, list[str]]]:
    """Give the lines that hold something."""
    try:
        for cells in reader:
            if cells:
                yield reader.line_num, cells
    except csv.Error as error:
        raise DataError(f"{file} is damaged in line {reader.line_num}: {error}.") from error
