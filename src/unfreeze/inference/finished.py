"""Finding the folder of a finished run from what a person typed."""

from pathlib import Path

from unfreeze.errors import RunError

SHOWN = 10


def finished_run(path: str | Path) -> Path:
    """Find a finished run.

    Args:
        path: a RUN folder, `OUT/experiments/NAME/seed-K`, or a folder above it that holds exactly one.

    Raises:
        RunError: nothing finished is there, or more than one run; the message lists them.
    """
    root = Path(path)
    if (root / "metrics.json").is_file():
        return root
    if not root.is_dir():
        raise RunError(f"There is no run {root}. A run is a folder like runs/demo/experiments/model_2/seed-0.")
    runs = sorted(file.parent for file in root.glob("**/*seed-*/metrics.json"))
    if not runs:
        raise RunError(f"{root} holds no finished run. Call `unfreeze run` or `train` again to finish it.")
    if len(runs) > 1:
        lines = [f"  {run}" for run in runs[:SHOWN]]
        if len(runs) > SHOWN:
            lines.append(f"  and {len(runs) - SHOWN} more")
        raise RunError(f"{root} holds {len(runs)} runs; name one of them:\n" + "\n".join(lines))
    return runs[0]
