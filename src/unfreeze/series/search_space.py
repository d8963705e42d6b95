"""What a search tries: a head on frozen features, then fine-tuning, deeper or not, stronger or not."""

from typing import TYPE_CHECKING, Any

from unfreeze import config

if TYPE_CHECKING:
    from optuna import Trial

AUGMENTATIONS: dict[str, dict[str, Any] | bool] = {
    "none": False,
    "mild": {"flip": "horizontal", "rotation": 0.03, "zoom": 0.1},
    "strong": {"flip": "horizontal", "rotation": 0.08, "zoom": 0.25, "height": 0.1, "width": 0.1},
    "any way up": {"flip": "horizontal_and_vertical", "rotation": 0.08, "zoom": 0.25, "height": 0.1, "width": 0.1},
}

LEAST_RATE = 1e-4
"""The smallest learning rate that is drawn."""

ALL = 0
"""Stands for all blocks."""


def depths_of(block_count: int) -> list[int]:
    """Give the numbers of last blocks that are worth trying of a network with so many; 0 is all layers."""
    return [*(blocks for blocks in (2, 5, 10) if blocks < block_count), ALL]


def draw(trial: "Trial", depths: list[int]) -> dict[str, Any]:
    """Let Optuna draw a fine-tuning.

    Args:
        trial: asks the study's sampler.
        depths: numbers of last blocks, 0 for all.
    """
    return {
        "blocks": trial.suggest_categorical("blocks", depths),
        "learning_rate": trial.suggest_float("learning_rate", LEAST_RATE, 3e-3, log=True),
        "layer_decay": trial.suggest_float("layer_decay", 0.7, 1.0),
        "augment": trial.suggest_categorical("augment", list(AUGMENTATIONS)),
        "weight_decay": trial.suggest_float("weight_decay", 1e-3, 0.1, log=True),
        "dropout": trial.suggest_categorical("dropout", [0.0, 0.3]),
    }


def probe(backbone: str, fraction: float, test_views: str | None = None) -> dict[str, Any]:
    """Give the experiment that fits a head alone."""
    return {"backbone": backbone, "fraction": fraction, "solver": "lbfgs", "augment": False, **_views(test_views)}


def fine_tuning(
    backbone: str, fraction: float, drawn: dict[str, Any], epochs: int, test_views: str | None = None
) -> dict[str, Any]:
    """Give the experiment that fits a head and then trains the last blocks with it, as a recipe writes it."""
    unfreeze = {"blocks": drawn["blocks"]} if drawn["blocks"] != ALL else "all"
    return {
        "backbone": backbone,
        "fraction": fraction,
        "augment": AUGMENTATIONS[drawn["augment"]],
        "phases": [
            {"solver": "lbfgs", "epochs": config.Phase().epochs},
            {"unfreeze": unfreeze, "epochs": epochs, "learning_rate": drawn["learning_rate"]},
        ],
        **{key: drawn[key] for key in ("layer_decay", "weight_decay", "dropout")},
        "warmup": 1.0,
        "schedule": "cosine",
        **_views(test_views),
    }


def _views(test_views: str | None) -> dict[str, str]:
    return {"test_views": test_views} if test_views else {}
