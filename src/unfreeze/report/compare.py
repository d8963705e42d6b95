"""A finished series once more, from its saved results alone."""

from pathlib import Path

from unfreeze.report.pictures import save_pictures
from unfreeze.report.results import Results, load_results


def compare(out: str | Path) -> Results:
    """Read a series' results and draw its pictures again.

    Args:
        out: a folder that `unfreeze run` or `train` wrote.

    Raises:
        RunError: it holds no results.
    """
    results = load_results(Path(out))
    save_pictures(Path(out))
    return results
