"""Transfer learning on photos: which network to ship, how far to unfreeze it, and how sure one can be.

import unfreeze

results = unfreeze.run("demo")                       # a recipe
results = unfreeze.train("my_photos")                # one experiment, without a recipe
unfreeze.load("runs/my_photos/experiments/model/seed-0").predict(["a.jpg"])
unfreeze.fit(model, photos, labels, epochs=5)        # in place of model.fit, for a Keras model of your own
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from unfreeze.data.check import check
    from unfreeze.inference.evaluate import evaluate
    from unfreeze.inference.export import export
    from unfreeze.inference.predictor import load
    from unfreeze.inference.show import show
    from unfreeze.report.compare import compare
    from unfreeze.series.eject import eject
    from unfreeze.series.plan import plan
    from unfreeze.series.run import run
    from unfreeze.series.show_views import show_views
    from unfreeze.series.train import train
    from unfreeze.training.fit import fit

__version__ = "0.1.0"

__all__ = [
    "check",
    "compare",
    "eject",
    "evaluate",
    "export",
    "fit",
    "load",
    "plan",
    "run",
    "show",
    "show_views",
    "train",
]

_HOMES = {
    "check": "unfreeze.data.check",
    "compare": "unfreeze.report.compare",
    "eject": "unfreeze.series.eject",
    "evaluate": "unfreeze.inference.evaluate",
    "export": "unfreeze.inference.export",
    "fit": "unfreeze.training.fit",
    "load": "unfreeze.inference.predictor",
    "plan": "unfreeze.series.plan",
    "run": "unfreeze.series.run",
    "show": "unfreeze.inference.show",
    "show_views": "unfreeze.series.show_views",
    "train": "unfreeze.series.train",
}


def __getattr__(name: str) -> Any:
    """Import a function when it is first asked for, so that `import unfreeze` is instant."""
    if name not in _HOMES:
        raise AttributeError(f"module 'unfreeze' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """List the public functions."""
    return [*__all__, "__version__"]
