"""What an exported file says of itself: all that one must know to use it."""

import json
from dataclasses import asdict, dataclass

from unfreeze import __version__

NAME = "unfreeze.json"
"""Of the file inside a `.keras` or `.tflite` file."""

ONNX_KEY = "unfreeze"
"""In the metadata of an ONNX file."""


@dataclass(frozen=True)
class Description:
    """A network in words and numbers.

    Attributes:
        classes: names, in the order of the outputs.
        image_size: side of the photos, in pixels.
        resize: how photos are brought to that size: `squash`, `crop` or `pad`.
        temperature: with which the probabilities are calibrated already.
        test_views: views of a photo that are averaged already, as a recipe names them; None for the photo alone.
        pixels: what the network takes.
        unfreeze: version that wrote it.
    """

    classes: tuple[str, ...]
    image_size: int
    resize: str
    temperature: float
    test_views: str | None = None
    pixels: str = "RGB, 0 to 255"
    unfreeze: str = __version__

    def to_json(self) -> str:
        """Write it as JSON, in ASCII; views that are not averaged are not spoken of."""
        content = asdict(self)
        return json.dumps({key: value for key, value in content.items() if value is not None}, indent=1)

    @classmethod
    def from_json(cls, text: str | bytes) -> "Description":
        """Read what `to_json` wrote.

        Raises:
            ValueError: it is no JSON.
            TypeError: it is JSON of something else.
        """
        content = json.loads(text)
        return cls(**{**content, "classes": tuple(content["classes"])})
