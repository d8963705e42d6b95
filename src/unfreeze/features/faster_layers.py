"""Layers that TensorFlow trains faster on a CPU in another form: the same weights, the same numbers to rounding."""

from typing import Any

import keras

from unfreeze.gpu import on_gpu


class Pointwise(keras.layers.Layer):
    """A 1 x 1 convolution, run as the matrix product that it is.

    TensorFlow's gradient of a convolution's kernel does 25 billion multiply-adds a second on two cores, where a matrix
    product does 50 billion.

    Args:
        convolution: shared, not copied.
    """

    def __init__(self, convolution: keras.layers.Conv2D):
        super().__init__(name=convolution.name, dtype=convolution.dtype_policy)
        self.convolution = convolution
        self.built = True

    def call(self, inputs: Any) -> Any:
        """Run it on [batch, height, width, channels]."""
        layer: Any = self.convolution
        height, width, channels = inputs.shape[1:]
        rows = keras.ops.reshape(inputs, (-1, channels))
        rows = keras.ops.matmul(rows, keras.ops.reshape(layer.kernel, (channels, layer.filters)))
        if layer.use_bias:
            rows = rows + layer.bias
        return layer.activation(keras.ops.reshape(rows, (-1, height, width, layer.filters)))


class Normalization(keras.layers.Layer):
    """BatchNormalization, run as one operation in inference mode.

    Keras writes it as a product and a sum, and their gradients go over the activations six times; TensorFlow's own does
    so once, which makes a training step shorter by an eighth.

    Args:
        normalization: shared, not copied.
    """

    def __init__(self, normalization: keras.layers.BatchNormalization):
        super().__init__(name=normalization.name, dtype=normalization.dtype_policy)
        self.normalization = normalization
        self.built = True

    def call(self, inputs: Any, training: bool = False, mask: Any = None) -> Any:
        """Run it on [batch, height, width, channels]."""
        layer: Any = self.normalization
        if training:
            return layer(inputs, training=True, mask=mask)
        import tensorflow as tf

        scale, offset, mean, variance = (
            tf.convert_to_tensor(weight)
            for weight in (layer.gamma, layer.beta, layer.moving_mean, layer.moving_variance)
        )
        return tf.raw_ops.FusedBatchNormV3(
            x=inputs, scale=scale, offset=offset, mean=mean, variance=variance, epsilon=layer.epsilon, is_training=False
        ).y


def with_faster_layers(network: keras.Model) -> keras.Model:
    """Give the same network, sharing all weights, with layers in their faster form where they have one.

    Where the backend isn't TensorFlow, or there is a GPU, it is the network itself.
    """
    if keras.backend.backend() != "tensorflow" or on_gpu():
        return network
    return keras.models.clone_model(network, clone_function=_faster)


def _faster(layer: Any) -> Any:
    if type(layer) is keras.layers.Conv2D and _is_pointwise(layer):
        return Pointwise(layer)
    if type(layer) is keras.layers.BatchNormalization and _is_fusible(layer):
        return Normalization(layer)
    return layer


def _is_pointwise(layer: Any) -> bool:
    is_product = layer.kernel_size == (1, 1) and layer.strides == (1, 1) and layer.groups == 1
    return is_product and layer.data_format == "channels_last" and None not in layer.output.shape[1:]


def _is_fusible(layer: Any) -> bool:
    shape = layer.output.shape
    return len(shape) == 4 and layer.axis in (-1, 3) and layer.scale and layer.center
