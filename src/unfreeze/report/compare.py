"""Finished series once more, from their saved results alone."""

from pathlib import Path

from unfreeze.report.page import write_report
from unfreeze.report.pictures import save_pictures
from unfreeze.report.results import load_results
from unfreeze.report.side_by_side import Comparison, side_by_side


def compare(out: str | Path, *others: str | Path) -> Comparison:
    """Read what series found out, write their reports again, and compare their experiments photo by photo.

    Args:
        out: a folder that `unfreeze run` or `train` wrote.
        others: more of them, tested on the same photos.

    Raises:
        RunError: a folder holds no results, or two were tested on other photos.
    """
    results = [load_results(Path(folder)) for folder in (out, *others)]
    comparison = side_by_side(*results)
    for each in results:
        save_pictures(each.out)
        write_report(side_by_side(each) if others else comparison)
    return comparison
