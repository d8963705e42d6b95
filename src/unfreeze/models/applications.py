"""The networks of `keras.applications`: a table."""

from dataclasses import dataclass
from typing import Literal

Pixels = Literal["tf", "torch", "caffe", "efficientnet_v2"]
"""How a network wants its pixels; the first three are modes of Keras's `imagenet_utils.preprocess_input`."""


@dataclass(frozen=True)
class Application:
    """A network of `keras.applications`.

    Attributes:
        constructor: its name there; ours is the same in lower case.
        image_size: side of the photos that it was trained on, in pixels.
        pixels: how it wants them.
    """

    constructor: str
    image_size: int
    pixels: Pixels


_APPLICATIONS = (
    Application("ConvNeXtTiny", 224, "torch"),
    Application("ConvNeXtSmall", 224, "torch"),
    Application("ConvNeXtBase", 224, "torch"),
    Application("ConvNeXtLarge", 224, "torch"),
    Application("ConvNeXtXLarge", 224, "torch"),
    Application("DenseNet121", 224, "torch"),
    Application("DenseNet169", 224, "torch"),
    Application("DenseNet201", 224, "torch"),
    Application("EfficientNetB0", 224, "torch"),
    Application("EfficientNetB1", 240, "torch"),
    Application("EfficientNetB2", 260, "torch"),
    Application("EfficientNetB3", 300, "torch"),
    Application("EfficientNetB4", 380, "torch"),
    Application("EfficientNetB5", 456, "torch"),
    Application("EfficientNetB6", 528, "torch"),
    Application("EfficientNetB7", 600, "torch"),
    Application("EfficientNetV2B0", 224, "torch"),
    Application("EfficientNetV2B1", 240, "torch"),
    Application("EfficientNetV2B2", 260, "torch"),
    Application("EfficientNetV2B3", 300, "torch"),
    Application("EfficientNetV2S", 384, "efficientnet_v2"),
    Application("EfficientNetV2M", 480, "efficientnet_v2"),
    Application("EfficientNetV2L", 480, "efficientnet_v2"),
    Application("InceptionResNetV2", 299, "tf"),
    Application("InceptionV3", 299, "tf"),
    Application("MobileNet", 224, "tf"),
    Application("MobileNetV2", 224, "tf"),
    Application("MobileNetV3Small", 224, "tf"),
    Application("MobileNetV3Large", 224, "tf"),
    Application("NASNetMobile", 224, "tf"),
    Application("NASNetLarge", 331, "tf"),
    Application("ResNet50", 224, "caffe"),
    Application("ResNet101", 224, "caffe"),
    Application("ResNet152", 224, "caffe"),
    Application("ResNet50V2", 224, "tf"),
    Application("ResNet101V2", 224, "tf"),
    Application("ResNet152V2", 224, "tf"),
    Application("VGG16", 224, "caffe"),
    Application("VGG19", 224, "caffe"),
    Application("Xception", 299, "tf"),
)
APPLICATIONS = {application.constructor.lower(): application for application in _APPLICATIONS}
