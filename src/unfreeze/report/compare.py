"""Finished series once more, from their saved results alone."""

from pathlib import Path

from unfreeze.data.items import inner_path
from unfreeze.data.splits import splits_name
from unfreeze.files import file_sha256
from unfreeze.report.page import write_report
from unfreeze.report.pictures import save_pictures
from unfreeze.report.results import ExperimentResult, Results, load_results
from unfreeze.report.side_by_side import Comparison, side_by_side
from unfreeze.seals import WEIGHTS, damaged, ensure_whole


def compare(out: str | Path, *others: str | Path) -> Comparison:
    """Read what series found out, write their reports again, and compare their experiments photo by photo.

    Args:
        out: a folder that `unfreeze run` or `train` wrote.
        others: more of them, tested on the same photos.

    Raises:
        RunError: a folder holds no results, a file that they rest on is damaged, or two were tested on other photos.
    """
    results = [load_results(Path(folder)) for folder in (out, *others)]
    for each in results:
        for run in each.experiments:
            _ensure_whole(each, run)
    comparison = side_by_side(*results)
    for each in results:
        save_pictures(each.out)
        write_report(side_by_side(each) if others else comparison)
    return comparison


def _ensure_whole(results: Results, run: ExperimentResult) -> None:
    """Refuse a run that is damaged, or lies outside of its series' folder."""
    try:
        folder = results.out / inner_path(run.path)
    except ValueError as error:
        raise damaged(results.out / "results.json", f"the path {run.path} {error}") from None
    ensure_whole(folder, but=(*WEIGHTS, "model.keras"))  # nothing of these is shown
    file = results.out / splits_name(run.split_seed)
    if run.split_seed == results.dataset.split_seed and file.is_file() and file_sha256(file) != results.dataset.sha256:
        raise damaged(file, "its checksum is not that in results.json")
