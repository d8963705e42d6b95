"""Finding the folder of a finished run from what a person typed, and what the run says of its network."""

import json
from pathlib import Path

from unfreeze.data.turned import VIEWS
from unfreeze.errors import RunError
from unfreeze.inference.description import Description
from unfreeze.seals import METRICS, WEIGHTS, ensure_whole, read_sealed

SHOWN = 10


def finished_run(path: str | Path) -> Path:
    """Find a finished run.

    Args:
        path: a RUN folder, `OUT/experiments/NAME/seed-K`, or a folder above it that holds exactly one.

    Raises:
        RunError: nothing finished is there, or more than one run (the message lists them), or it is damaged.
    """
    run = _find(path)
    ensure_whole(run, but=WEIGHTS)  # for children, who look at them themselves
    return run


def _find(path: str | Path) -> Path:
    root = Path(path)
    runs = runs_below(root)
    if not runs and not root.is_dir():
        raise RunError(no_run(root))
    if not runs:
        raise RunError(f"{root} holds no finished run. Call `unfreeze run` or `train` again to finish it.")
    if len(runs) > 1:
        lines = [f"  {run}" for run in runs[:SHOWN]]
        if len(runs) > SHOWN:
            lines.append(f"  and {len(runs) - SHOWN} more")
        raise RunError(f"{root} holds {len(runs)} runs; name one of them:\n" + "\n".join(lines))
    return runs[0]


def runs_below(path: Path) -> list[Path]:
    """List the finished runs, sorted, that a folder holds or is; whether they are whole is not looked at."""
    if (path / METRICS).is_file():
        return [path]
    return sorted(file.parent for file in path.glob(f"**/*seed-*/{METRICS}"))


def no_run(path: str | Path) -> str:
    """Say that there is no run where a person thought one to be."""
    return f"There is no run {path}. A run is a folder like runs/demo/experiments/model_2/seed-0."


def described(run: Path) -> Description:
    """Read what a finished run says of its network.

    Raises:
        RunError: its files are damaged.
    """
    import yaml  # takes a while, and copies for quick predictions do without

    try:
        classes = tuple(json.loads((run / "classes.json").read_text(encoding="utf-8")))
        config = yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))
        temperature = float(read_sealed(run / METRICS)["temperature"])
        size, views = int(config["image_size"]), config.get("test_views")
        if views not in VIEWS:
            raise ValueError(f"test_views is {views}")
        return Description(classes, size, str(config["resize"]), temperature, views)
    except (OSError, ValueError, KeyError, TypeError, yaml.YAMLError) as error:
        raise damaged(run, error) from error


def damaged(run: Path, why: object) -> RunError:
    """Make the error of a run whose files are not what they should be."""
    return RunError(f"{run} can't be loaded ({why}). Run the experiment again with --force.")
