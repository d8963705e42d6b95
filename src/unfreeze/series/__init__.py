"""A series of experiments: from a recipe to trained models, with lineage."""

from unfreeze.backend import load_keras

load_keras()
