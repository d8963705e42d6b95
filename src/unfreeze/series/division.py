"""How an experiment's network is divided: what runs once a photo, and what is trained."""

from collections.abc import Sequence
from dataclasses import dataclass

import keras

from unfreeze.config import Experiment
from unfreeze.data.inputs import Pixels
from unfreeze.features.activations import Activations
from unfreeze.features.frozen import FrozenLayers, Stop, UncachedRows, trained_part
from unfreeze.models.classifier import backbone_of, without_augmentation
from unfreeze.models.unfreezing import unfrozen_layers

EVALUATION_PRECISION = "float32"
"""Of validation and test photos: float16 moves probabilities by up to 7e-4."""


@dataclass(frozen=True)
class Division:
    """The two halves of an experiment's network; with the engine `reference` Keras runs both.

    Attributes:
        experiment: whose network.
        series: all experiments of the recipe, which share what is computed.
        frozen: engines and cache of the series.
    """

    experiment: Experiment
    series: Sequence[Experiment]
    frozen: FrozenLayers

    def trained(self, classifier: keras.Model, unfrozen: Sequence[str]) -> keras.Model:
        """Give the part of the classifier on which `fit` runs."""
        if self.experiment.trains_whole:
            return without_augmentation(classifier)
        return trained_part(classifier, unfrozen)

    def rows(
        self, classifier: keras.Model, unfrozen: Sequence[str], pixels: Pixels, training: bool
    ) -> Pixels | Activations | UncachedRows:
        """Give photos as that part takes them in; what the frozen layers make of them may not be computed yet.

        Args:
            classifier: the whole model.
            unfrozen: names of its backbone's layers that are trained.
            pixels: the photos.
            training: whether they are training photos, of which each experiment uses its own share and views.
        """
        if self.experiment.trains_whole:
            return pixels
        if self.experiment.engine == "reference":
            return self.frozen.uncached(classifier, unfrozen, pixels)
        backbone = backbone_of(classifier)
        stops = [
            Stop(unfrozen_layers(backbone, phase.unfreeze), keep=not training or self._covered_by(other))
            for other in self.series
            if network_of(other) == network_of(self.experiment)
            for phase in other.phases
        ]
        precision = self.experiment.precision if training else EVALUATION_PRECISION
        return self.frozen.rows(classifier, unfrozen, stops, pixels, precision)

    def _covered_by(self, other: Experiment) -> bool:
        """Whether another experiment trains on at least these photos and views, in the same precision."""
        mine = self.experiment
        if not mine.augment:
            same_views = not other.augment or other.augment.views is not None  # whose first view is the photo as it is
        else:
            same_views = _changes(other) == _changes(mine) and other.views >= mine.views
        return same_views and other.precision == mine.precision and other.fraction >= mine.fraction


def network_of(experiment: Experiment) -> tuple[str, int, str, str]:
    """Name the network whose frozen layers an experiment runs; those of equal ones share what is computed."""
    return experiment.backbone, experiment.image_size, experiment.resize, experiment.engine


def _changes(experiment: Experiment) -> object:
    """What an experiment's views look like, however many there are."""
    augment = experiment.augment
    return augment and (augment.model_dump(exclude={"views"}), augment.views is None, experiment.view_seed)
