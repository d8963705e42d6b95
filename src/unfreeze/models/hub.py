"""Image networks of KerasHub, by the name of a preset or from a folder."""

import difflib
import re
import sys
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

from unfreeze.errors import BackboneError
from unfreeze.models.at_hand import weights_at_hand


@dataclass(frozen=True)
class Preset:
    """A network and what it does with pixels beforehand.

    Attributes:
        network: Functional model from preprocessed photos to features.
        scale: pixels (0 to 255) are multiplied by this, one number or one a channel.
        offset: and this is added.
    """

    network: keras.Model
    scale: Any
    offset: Any

    @property
    def is_plain(self) -> bool:
        """Whether the network is made of Keras's own layers alone; many of KerasHub's can't be copied one by one."""
        return all(type(layer).__module__.startswith("keras.") for layer in self.network.operations)


def load_preset(preset: str, image_size: int, pretrained: bool = True) -> Preset:
    """Load a network of KerasHub, fetching what is not at hand.

    Args:
        preset: name of a preset (`resnet_50_imagenet`), a handle (`hf://...`, `kaggle://...`), or a folder.
        image_size: side of the photos in pixels.
        pretrained: with its weights, else with random ones.

    Raises:
        BackboneError: KerasHub is not installed, there is no such preset, it can't be fetched or doesn't say how it
            wants its pixels, or its network takes something else than one photo of this size.
    """
    converter = _converter(preset)
    network = _network(preset, load_weights=pretrained)
    if len(network.inputs) != 1 or len(network.inputs[0].shape) != 4 or len(network.outputs) != 1:
        shapes = ", ".join(str(tensor.shape) for tensor in network.inputs)
        raise BackboneError(
            f"keras_hub:{preset} can't be a backbone: {type(network).__name__} takes {shapes}. "
            "Take a preset of a network for images alone."
        )
    wanted = (image_size, image_size, 3)
    if any(side not in (None, own) for side, own in zip(network.inputs[0].shape[1:], wanted, strict=True)):
        network = _network(preset, load_weights=pretrained, image_shape=wanted)
    scale, offset = (getattr(converter, key) for key in ("scale", "offset"))
    return Preset(network, 1.0 if scale is None else scale, 0.0 if offset is None else offset)


def preset_image_size(preset: str) -> int:
    """Give the side of the photos that a preset's network was trained on, in pixels.

    Raises:
        BackboneError: as in `load_preset`, or the preset doesn't say.
    """
    sizes = _converter(preset).image_size or _network(preset, load_weights=False).inputs[0].shape[1:3]
    if sizes[0] is None or sizes[0] != sizes[1]:
        raise BackboneError(f"keras_hub:{preset} doesn't say how large its photos are. Set image_size, such as 224.")
    return sizes[0]


def model_name(preset: str) -> str:
    """Give a name for a preset's model that Keras allows."""
    return re.sub(r"\W", "_", f"keras_hub_{Path(preset).name}")


def _network(preset: str, **arguments: Any) -> Any:
    try:
        with redirect_stdout(sys.stderr):  # stdout is ours for results
            # A name of ours: Keras would number it through a whole process
            return _keras_hub().models.Backbone.from_preset(preset, name="network", **arguments)
    except BackboneError:
        raise
    except Exception as error:  # each hub and each network fails in its own way
        raise BackboneError(_in_words(preset, error, arguments.get("image_shape"))) from error


def _converter(preset: str) -> Any:
    _ensure_known(preset)
    try:
        with redirect_stdout(sys.stderr):
            return _keras_hub().layers.ImageConverter.from_preset(preset)
    except FileNotFoundError as error:
        raise BackboneError(
            f"keras_hub:{preset} has no image_converter.json, so it doesn't say how its network wants its pixels. "
            "Save its keras_hub.layers.ImageConverter into the same folder, with save_to_preset."
        ) from error
    except Exception as error:  # each hub fails in its own way
        raise BackboneError(_in_words(preset, error)) from error


def _in_words(preset: str, error: Exception, image_shape: tuple[int, ...] | None = None) -> str:
    reason = " ".join(str(error).split())[:300].rstrip(".")
    if image_shape:
        return f"keras_hub:{preset} can't be built for photos of {image_shape[0]} x {image_shape[1]} pixels: {reason}."
    if Path(preset).is_dir():
        return f"keras_hub:{preset} can't be loaded: {reason}."
    return (
        f"keras_hub:{preset} can't be fetched: {reason}. "
        f"Try again when the net is there, or take a backbone whose weights are: {weights_at_hand()}."
    )


def _ensure_known(preset: str) -> None:
    presets = _keras_hub().models.Backbone.presets
    if preset in presets or "://" in preset or Path(preset).is_dir():
        return
    close = difflib.get_close_matches(preset, presets, n=3)
    hint = f" Did you mean {' or '.join(close)}?" if close else ""
    raise BackboneError(
        f"There is no preset {preset!r} in KerasHub.{hint} Behind keras_hub: stands the name of a preset, such as "
        "resnet_50_imagenet, a handle such as hf://timm/resnet18.a1_in1k, or a folder with a preset."
    )


def _keras_hub() -> Any:
    try:
        import keras_hub  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise BackboneError(
            f"KerasHub can't be imported: {error}. Backbones that begin with keras_hub: need it. "
            "Run: pip install 'unfreeze[keras-hub]'"
        ) from error
    return keras_hub
