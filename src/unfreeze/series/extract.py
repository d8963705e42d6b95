"""What the training of an experiment will need of frozen layers, computed before it begins."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from unfreeze.config import AnyExperiment
from unfreeze.data.catalog import Photo
from unfreeze.features.activations import CHUNK, Activations
from unfreeze.models.backbones import pretrained_backbone
from unfreeze.models.classifier import reused_classifier
from unfreeze.models.unfreezing import unfrozen_layers
from unfreeze.series.division import Division
from unfreeze.series.photos import SeriesPhotos
from unfreeze.series.recipe import parent_name


def extract(
    division: Division, experiments: Mapping[str, AnyExperiment], photos: SeriesPhotos, part: int, parts: int
) -> None:
    """Compute a part of what the training of an experiment will need, as far as it is known before.

    Its training computes what it needs and does not find, such as rows of an engine that runs in Keras on a processor,
    whose bits may depend on the number of threads.

    Args:
        division: of the experiment's network.
        experiments: of the series, by name.
        photos: on the experiment's split.
        part: from 1 to `parts`, or 0 for a few photos that the layers are exported with.
        parts: to how many the photos are shared out, each to the same one for every experiment.
    """
    splits = photos.splits
    train, val = splits.train(division.experiment.fraction), splits.val
    for rows in known_rows(division, experiments, photos, _share(train, part, parts), _share(val, part, parts)):
        if rows.is_independent_of_threads():
            rows.compute()


def known_rows(
    division: Division,
    experiments: Mapping[str, AnyExperiment],
    photos: SeriesPhotos,
    train: Sequence[Photo],
    val: Sequence[Photo],
) -> Iterator[Activations]:
    """Give rows that an experiment will need: of layers that nobody has trained until then.

    Layers are trained by the experiment's earlier phases and by its ancestors.

    Args:
        division: of the experiment's network, whose weights become the pretrained ones.
        experiments: of the series, by name.
        photos: on the experiment's split.
        train: those of its training photos that matter.
        val: and of its validation photos.
    """
    experiment = division.experiment
    ancestors = _ancestors(experiment, experiments)
    if ancestors is None:
        return
    backbone = pretrained_backbone(experiment.backbone, experiment.image_size)
    classifier = reused_classifier(backbone, len(photos.classes))
    trained = {
        name for each in ancestors for phase in each.phases for name in unfrozen_layers(backbone, phase.unfreeze)
    }
    start = 0
    for phase in experiment.phases:
        epochs = range(start, start + phase.epochs)
        start = epochs.stop
        unfrozen = unfrozen_layers(backbone, phase.unfreeze)
        if trained <= set(unfrozen):
            seen = replace(division, experiment=experiment.in_phase(phase))
            used = photos.test_pixels if phase is experiment.phases[-1] else photos.pixels
            for pixels, training in (
                (photos.training_pixels(train, seen.experiment, phase, epochs), True),
                (used(val, experiment), False),
            ):
                rows = seen.rows(classifier, unfrozen, pixels, training)
                if isinstance(rows, Activations):
                    yield rows
        trained.update(unfrozen)


def _ancestors(experiment: AnyExperiment, experiments: Mapping[str, AnyExperiment]) -> list[AnyExperiment] | None:
    """Give the experiments whose weights this one builds on; None where they come from outside of the series."""
    ancestors: list[AnyExperiment] = []
    while name := parent_name(experiment):
        if name not in experiments:
            return None
        experiment = experiments[name]
        ancestors.append(experiment)
    return ancestors


def _share(photos: Sequence[Photo], part: int, parts: int) -> list[Photo]:
    """Give the photos of a part; a photo's hash says which it is in, so that copies of one are in the same."""
    if not part:
        return list(photos[:CHUNK])
    return [photo for photo in photos if int(photo.sha256[:8], 16) % parts == part - 1]
