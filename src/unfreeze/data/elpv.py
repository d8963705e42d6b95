"""The photos that the demo runs on: ELPV, solar cells as electroluminescence shows them."""

import csv
import importlib.util
from pathlib import Path

from unfreeze.data.items import NO_TEST, Item, Source, sort_items
from unfreeze.errors import DataError


def open_elpv() -> Source:
    """Open the solar cells of the elpv-dataset package (Deitsch et al. 2019, Solar Energy 185).

    A line of its table: a photo's path, the probability that the cell is defective, the type of its wafer.

    Raises:
        DataError: the package is not installed.
    """
    package = importlib.util.find_spec("elpv_dataset")
    if package is None or package.origin is None:
        raise DataError("The photos of elpv are not installed. They come with: pip install elpv-dataset")
    root = Path(package.origin).parent / "data"
    items = []
    with (root / "labels.csv").open(encoding="utf-8", newline="") as table:
        for path, probability, wafer in csv.reader(table, delimiter=" ", skipinitialspace=True):
            label = "defective" if float(probability) >= 0.5 else "functional"
            items.append(Item(path, root / path, label, None, f"{wafer} {float(probability):.2f}"))
    notice = (
        "ELPV is under CC BY-NC-SA 4.0: not for commercial use. It does not say which cells come from one "
        f"solar module, so photos of one module may stand in both train and test. {NO_TEST}"
    )
    return Source("elpv", root, sort_items(items), False, notice)
