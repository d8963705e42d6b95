"""Networks: pretrained backbones, the classifier around them, and which of their layers are trained."""

from unfreeze.backend import load_keras

load_keras()
