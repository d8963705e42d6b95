"""How long a search's trials will take, learned from those before."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from unfreeze.backend import thread_count
from unfreeze.config import Blocks
from unfreeze.data.splits import Splits
from unfreeze.features.frozen import cut_of
from unfreeze.models.backbones import default_image_size, pretrained_backbone
from unfreeze.models.classifier import with_pooling
from unfreeze.models.unfreezing import unfrozen_layers
from unfreeze.series.plan import MACS_PER_CORE_SECOND

OPENING = 5.0
"""Seconds that exporting a network and opening its engine take, of the first probe's for its features."""

TRAINED_SHARE = 0.5
"""Speed of training, in multiply-adds a second, as a share of that of frozen layers. Measured for EfficientNet-Lite0 on
two cores: 0.7 for the last 5 blocks, 0.4 for all layers."""


@dataclass
class Pace:
    """How fast this machine is with these photos, learned from trial to trial.

    Attributes:
        forward: multiply-adds a second of frozen layers.
        trained: network and layers trained -> seconds a photo of an epoch.
        start: seconds until the first step of training, compiling included.
        end: seconds from the last epoch to the end of a trial.
    """

    forward: float
    trained: dict[str, float] = field(default_factory=dict)
    start: float = 25.0
    end: float = 8.0

    def seconds(self, photos: int, views: int, epochs: int, unfrozen: str, macs: tuple[int, int]) -> float:
        """Estimate a trial.

        Args:
            photos: trained on, and validation photos.
            views: of each photo that frozen layers have to see.
            epochs: of training.
            unfrozen: names network and layers that are trained.
            macs: of frozen and of trained layers, for one photo.
        """
        frozen, trained = macs
        epoch = self.trained.get(unfrozen) or self._unseen(trained)
        return self.start + self.end + photos * (views * frozen / self.forward + epochs * epoch)

    def _unseen(self, macs: int) -> float:
        """Guess a photo's seconds in an epoch: backward is twice as much as forward, and slower than frozen layers."""
        return 3 * macs / (TRAINED_SHARE * self.forward)

    def learn(self, unfrozen: str, photos: int, epochs: Sequence[float], before: float, after: float | None) -> None:
        """Note what a trial took: seconds of its epochs, of what came before, and of what came after, if any."""
        if len(epochs) > 1:
            self.trained[unfrozen] = sorted(epochs[1:])[len(epochs[1:]) // 2] / max(photos, 1)
        self.start = max(before, 5.0)
        if after is not None:
            self.end = max(after, 2.0)


class Costs:
    """Seconds of probes and fine-tunings, for experiments as a recipe writes them.

    Args:
        splits: the photos.
    """

    def __init__(self, splits: Splits):
        self._splits = splits
        self.pace = Pace(MACS_PER_CORE_SECOND * thread_count())

    def test(self, backbone: str, views: int) -> float:
        """Estimate the frozen layers of all test photos."""
        return self._forward(backbone, views * len(self._splits.test))

    def probe(self, backbone: str, fraction: float) -> float:
        """Estimate a head on a network's features."""
        return self._forward(backbone, self._photos(fraction))

    def fine_tuning(self, settings: dict[str, Any]) -> float:
        """Estimate a fine-tuning."""
        epochs = settings["phases"][-1]["epochs"]
        views = 1 + (epochs if settings["augment"] else 0)
        return self.pace.seconds(self._passed(settings), views, epochs, _unfrozen(settings), _macs_of(settings))

    def learn_probe(self, settings: dict[str, Any], features: float) -> None:
        """Note how many seconds a probe took for features; those of photos in further views tell nothing."""
        spent = features - OPENING
        if spent > 2 and "test_views" not in settings:
            macs = _macs(settings["backbone"], 0)[0] * self._photos(settings["fraction"])
            self.pace.forward = macs / spent

    def learn_fine_tuning(
        self, settings: dict[str, Any], epochs: Sequence[float], before: float, after: float | None
    ) -> None:
        """Note what a fine-tuning took, as `Pace.learn` has it."""
        self.pace.learn(_unfrozen(settings), self._passed(settings), epochs, before, after)

    def _forward(self, backbone: str, photos: int) -> float:
        return photos * _macs(backbone, 0)[0] / self.pace.forward

    def _photos(self, fraction: float) -> int:
        return len(self._splits.train(fraction)) + len(self._splits.val)

    def _passed(self, settings: dict[str, Any]) -> int:
        """Count the photos of an epoch; one that is validated costs a third of one that is trained on."""
        return len(self._splits.train(settings["fraction"])) + len(self._splits.val) // 3


def _unfrozen(settings: dict[str, Any]) -> str:
    return f"{settings['backbone']} {settings['phases'][-1]['unfreeze']}"


def _macs_of(settings: dict[str, Any]) -> tuple[int, int]:
    unfreeze = settings["phases"][-1]["unfreeze"]
    return _macs(settings["backbone"], unfreeze if isinstance(unfreeze, str) else unfreeze["blocks"])


@lru_cache
def _macs(backbone: str, unfreeze: str | int) -> tuple[int, int]:
    """Count the multiply-adds of frozen and of trained layers, for one photo; a number is one of last blocks."""
    network = pretrained_backbone(backbone, default_image_size(backbone))
    layers = unfrozen_layers(network, Blocks(blocks=unfreeze) if isinstance(unfreeze, int) and unfreeze else unfreeze)
    cut = cut_of(with_pooling(network), tuple(layers))
    return cut.prefix_macs, cut.suffix_macs
