"""Made-up series folders, and checks that nothing in a picture is cut off or overlaps."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from matplotlib.text import Text

from unfreeze.evaluation.metrics import evaluate
from unfreeze.evaluation.predictions import Predictions, write_predictions
from unfreeze.files import file_sha256
from unfreeze.report.style import Picture
from unfreeze.seals import read_sealed, write_sealed
from unfreeze.series.folders import RunFolder


@dataclass(frozen=True)
class Made:
    """One made-up run: `right` of the series' test photos are predicted right."""

    name: str
    right: int = 8
    unfreeze: Any = 0
    parent: str | None = None
    checkpoint: str = "best"
    seed: int = 0
    split_seed: int = 0
    train_images: int | None = 750
    val_loss: Sequence[float] | None = (0.9, 0.6, 0.7)
    val_accuracy: float = 0.5
    tested: bool = True
    seconds: float = 33.4
    kind: str | None = None
    phases: Sequence[dict[str, Any]] | None = None


def confused(right: int, n: int, c: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels 0, 1, .. in turn, the last n - right of them taken for the next class."""
    labels = np.arange(n) % c
    predicted = np.where(np.arange(n) < right, labels, (labels + 1) % c)
    return labels, np.eye(c, dtype=np.float32)[predicted]


def write_run(out: Path, run: Made, classes: Sequence[str], n: int) -> dict[str, Any]:
    split = f"split-{run.split_seed}-" if run.split_seed else ""
    path = f"experiments/{run.name}/{split}seed-{run.seed}"
    folder = out / path
    folder.mkdir(parents=True)
    labels, probabilities = confused(run.right, n, len(classes))
    metrics = evaluate(labels, probabilities)
    test = metrics.to_json(classes) if run.tested else None
    if run.tested:
        paths = tuple(f"{number}.jpg" for number in range(n))
        write_predictions(folder / "predictions.csv", Predictions(paths, labels, tuple(classes), probabilities))
    kind = run.kind or ("fine_tuning" if run.unfreeze else "feature_extraction")
    epochs = None
    if kind != "as_is":
        epochs = _write_training(folder, run)
    RunFolder(folder).seal({"val": None, "test": test, "temperature": 1.0})
    seconds = {"data": 0.0, "features": 0.0, "train": run.seconds, "evaluate": 0.0, "total": run.seconds}
    return {
        "name": run.name,
        "kind": kind,
        "seed": run.seed,
        "split_seed": run.split_seed,
        "path": path,
        "backbone": "efficientnet_lite0",
        "fraction": 0.1,
        "train_images": run.train_images,
        "augment": True,
        "views": epochs,
        "unfreeze": run.unfreeze,
        "trainable_parameters": 1000,
        "start_from": run.parent,
        "epochs": epochs,
        "seconds": seconds,
        "val": {"accuracy": run.val_accuracy, "loss": 0.6} if run.val_loss and kind != "as_is" else None,
        "test": metrics.summary() if run.tested else None,
        "temperature": 1.0,
    }


def _write_training(folder: Path, run: Made) -> int:
    epochs = len(run.val_loss) if run.val_loss else 3
    lines = ["epoch,loss,accuracy,val_loss,val_accuracy,learning_rate"]
    for epoch in range(1, epochs + 1):
        validation = f"{run.val_loss[epoch - 1]},{0.5 + epoch / 100}" if run.val_loss else ","
        lines.append(f"{epoch},{1 / epoch},{0.6 + epoch / 100},{validation},0.001")
    (folder / "history.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    phases = run.phases or [{"unfreeze": run.unfreeze, "epochs": epochs, "learning_rate": 0.001}]
    (folder / "config.yaml").write_text(yaml.safe_dump({"phases": list(phases)}), encoding="utf-8")
    parent = None
    if run.parent:
        path = f"experiments/{run.parent}/seed-{run.seed}"
        parent = {"name": run.parent, "path": path, "checkpoint": run.checkpoint}
    frozen = {"frozen_layers": 142, "frozen_sha256_before": "f" * 64, "frozen_sha256_after": "f" * 64}
    done = [{"unfrozen_layers": ["top_conv"], "trainable_parameters": 1000, **frozen} for _ in phases]
    (folder / "lineage.json").write_text(json.dumps({"parent": parent, "phases": done}), encoding="utf-8")
    return epochs


def seal_again(out: Path) -> None:
    """Take what was changed in a made-up series' folder for what was written there."""
    for metrics in out.glob("experiments/*/*/metrics.json"):
        figures = read_sealed(metrics)
        RunFolder(metrics.parent).seal({**figures, "files": {}})
    results, splits = read_sealed(out / "results.json"), out / "splits.csv"
    if splits.exists():
        results["dataset"]["sha256"] = file_sha256(splits)
    write_sealed(out / "results.json", results)


def words(picture: Picture) -> str:
    """All text in a picture."""
    picture.canvas.draw()
    return "\n".join(text.get_text() for text in picture.findobj(Text) if text.get_visible())


def cut_off(picture: Picture) -> list[str]:
    """Texts that reach beyond the picture's edges."""
    picture.canvas.draw()
    edges = picture.bbox.padded(0.5)
    never_drawn = _ticks_out_of_sight(picture)
    texts = [text for text in picture.findobj(Text) if text.get_text() and text not in never_drawn]
    boxes = [(text.get_text(), text.get_window_extent()) for text in texts]
    return [
        text for text, box in boxes if box.x0 < edges.x0 or box.y0 < edges.y0 or box.x1 > edges.x1 or box.y1 > edges.y1
    ]


def _ticks_out_of_sight(picture: Picture) -> set[Text]:
    """Labels that matplotlib keeps for ticks beyond an axis's ends."""
    labels = set()
    for axis in (axis for axes in picture.axes for axis in (axes.xaxis, axes.yaxis)):
        low, high = sorted(axis.get_view_interval())
        labels |= {tick.label1 for tick in axis.get_major_ticks() if not low <= tick.get_loc() <= high}
    return labels


def overlapping(texts: Sequence[Text]) -> list[tuple[str, str]]:
    """Neighbours, in their order, that run into one another."""
    boxes = [(text.get_text(), text.get_window_extent()) for text in texts if text.get_text()]
    return [(a, b) for (a, box), (b, other) in pairwise(boxes) if box.overlaps(other)]
