"""A batch that can't fit into memory is refused before training, and no batch that fits."""

import math
import subprocess
import sys

import keras
import pytest
from tests.tiny import tiny_backbone

from unfreeze import free_memory
from unfreeze.errors import RunError
from unfreeze.models.classifier import backbone_of, build_classifier, without_augmentation
from unfreeze.training import memory

PEAK = """
import resource, sys
import numpy as np
from unfreeze.backend import load_keras; load_keras()
from unfreeze.models.backbones import build_backbone
from unfreeze.models.classifier import backbone_of, build_classifier, without_augmentation
from unfreeze.models.unfreezing import freeze
from unfreeze.training.custom import Custom
from unfreeze.training.memory import bytes_per_photo
from unfreeze.training.phase import _make_ready

classifier = build_classifier(build_backbone("efficientnet_lite0", 160, weights=None), 2)
freeze(backbone_of(classifier), [layer.name for layer in backbone_of(classifier).layers])
trained = without_augmentation(classifier)
_make_ready(trained, 1e-4, Custom())
peaks = []
for count in (4, 36):
    trained.train_on_batch(np.zeros((count, 160, 160, 3), "uint8"), np.zeros(count, "int32"))
    peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
print(bytes_per_photo(trained), (peaks[1] - peaks[0]) / 32)
"""


@pytest.fixture
def trained() -> keras.Model:
    return without_augmentation(build_classifier(tiny_backbone(), 2))


def test_what_a_step_holds_is_half_of_all_outputs(trained):
    backbone = backbone_of(build_classifier(tiny_backbone(), 2))
    numbers = sum(math.prod(layer.output.shape[1:]) for layer in backbone.layers[1:])
    head = backbone.output.shape[-1] + 2
    assert memory.bytes_per_photo(trained) == 4 * 0.5 * (numbers + head)


@pytest.mark.slow
def test_a_step_takes_more_than_that():
    done = subprocess.run([sys.executable, "-c", PEAK], capture_output=True, text=True, check=True)
    least, taken = map(float, done.stdout.split())
    assert least < taken < 2 * least


def test_a_batch_that_cannot_fit_is_refused(trained, monkeypatch):
    each = memory.bytes_per_photo(trained)
    monkeypatch.setattr(memory, "available_bytes", lambda: int(10.5 * each))
    memory.ensure_batch_fits(trained, 10)
    with pytest.raises(
        RunError, match=r"on 11 photos takes at least .* batches of at most 10 \(--set data.batch_size=10"
    ):
        memory.ensure_batch_fits(trained, 11)
    monkeypatch.setattr(memory, "available_bytes", lambda: 0)
    with pytest.raises(RunError, match=r"0.0 GB are available. Take smaller photos"):
        memory.ensure_batch_fits(trained, 1)


def test_a_container_may_have_less_than_the_machine(tmp_path, monkeypatch):
    machine = free_memory.available_bytes()
    limit = tmp_path / "memory.max"
    monkeypatch.setattr(free_memory, "CONTAINER_LIMITS", (str(limit), str(tmp_path / "not there")))
    limit.write_text("max\n")
    assert free_memory.available_bytes() == pytest.approx(machine, rel=0.2)
    limit.write_text("1000\n")
    assert free_memory.available_bytes() < 1000
