"""Training: one phase is freeze, compile, fit; an experiment is its phases in turn."""

from unfreeze.backend import load_keras

load_keras()
