"""Every picture of a finished series, as PNG files in OUT/pictures."""

from collections.abc import Collection
from pathlib import Path

from unfreeze.errors import RunError
from unfreeze.evaluation.metrics import Metrics
from unfreeze.files import write_atomically
from unfreeze.progress import task
from unfreeze.report.comparison import comparison
from unfreeze.report.confusion import confusion
from unfreeze.report.curves import curves
from unfreeze.report.results import ExperimentResult, load_results
from unfreeze.report.style import Picture
from unfreeze.seals import read_sealed


def save_picture(picture: Picture, path: Path) -> None:
    """Write a picture as PNG, and make folders that are missing; the same picture makes the same bytes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with write_atomically(path) as temporary:
        picture.write_png(temporary)


def save_pictures(out: Path, changed: Collection[str] | None = None) -> list[Path]:
    """Draw what `results.json` and the run folders of a series hold.

    Written are `comparison.png` and, for each run, `NAME-seed-K-curves.png` (if it was trained) and
    `NAME-seed-K-confusion.png` (if it was tested).

    Args:
        out: the series' folder.
        changed: paths of the runs, from OUT, whose pictures are drawn anew; others' are where they aren't there. None
            draws all.

    Returns:
        The files, the comparison first.

    Raises:
        RunError: no results there, or a run's files are missing or damaged.
    """
    results = load_results(out)
    metrics = {run.path: read_metrics(out / run.path) for run in results.experiments if run.test}
    largest_class = max((_largest_class(each) for each in metrics.values()), default=None)
    files = [out / "pictures" / "comparison.png"]
    save_picture(comparison(results, largest_class), files[0])
    with task("Drawing", total=len(results.experiments)) as advance:
        for run in results.experiments:
            is_new = changed is None or run.path in changed
            if run.epochs:
                files.append(picture_of(out, run, "curves"))
                if is_new or not files[-1].exists():
                    save_picture(curves(out / run.path), files[-1])
            if run.path in metrics:
                files.append(picture_of(out, run, "confusion"))
                if is_new or not files[-1].exists():
                    save_picture(confusion(metrics[run.path], results.dataset.classes, run.name), files[-1])
            advance(1)
    return files


def read_metrics(run: Path) -> Metrics:
    """Read a run's test figures from its `metrics.json`.

    Raises:
        RunError: there is none, or something else in it.
    """
    file = run / "metrics.json"
    try:
        return Metrics.from_json(read_sealed(file)["test"])
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(f"{file} is damaged ({error!r}); run the experiment again with --force.") from None


def picture_of(out: Path, run: ExperimentResult, what: str) -> Path:
    """Name the file of a run's picture.

    Args:
        out: the series' folder.
        run: one of its runs.
        what: `curves` or `confusion`.
    """
    return out / "pictures" / f"{run.name}-{Path(run.path).name}-{what}.png"


def _largest_class(metrics: Metrics) -> float:
    return max(each.support for each in metrics.per_class) / metrics.n
