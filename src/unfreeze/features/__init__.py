"""Frozen layers: where a network can be cut, so that what comes before the cut runs once a photo."""

from unfreeze.backend import load_keras

load_keras()
