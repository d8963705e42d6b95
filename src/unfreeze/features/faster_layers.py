"""Layers that TensorFlow trains faster on a CPU in another form: the same weights, the same numbers to rounding."""

from typing import Any

import keras

from unfreeze.gpu import tensorflow_on_cpu


class OtherForm(keras.layers.Layer):
    """Another form of a layer.

    Args:
        layer: shared, not copied.
    """

    def __init__(self, layer: keras.Layer):
        super().__init__(name=layer.name, dtype=layer.dtype_policy)
        self.layer: Any = layer
        self.built = True


class Pointwise(OtherForm):
    """A 1 x 1 convolution, run as the matrix product that it is.

    TensorFlow's gradient of a convolution's kernel does 25 billion multiply-adds a second on two cores, where a matrix
    product does 50 billion.
    """

    def call(self, inputs: Any) -> Any:
        """Run it on [batch, height, width, channels]."""
        height, width, channels = inputs.shape[1:]
        rows = keras.ops.reshape(inputs, (-1, channels))
        rows = keras.ops.matmul(rows, keras.ops.reshape(self.layer.kernel, (channels, self.layer.filters)))
        if self.layer.use_bias:
            rows = rows + self.layer.bias
        return self.layer.activation(keras.ops.reshape(rows, (-1, height, width, self.layer.filters)))


class Normalization(OtherForm):
    """BatchNormalization, run as one operation in inference mode.

    Keras writes it as a product and a sum; with their gradients these take twice as long as TensorFlow's own operation,
    and a training step of EfficientNet-Lite0's last ten blocks an eighth longer.
    """

    def call(self, inputs: Any, training: bool = False, mask: Any = None) -> Any:
        """Run it on [batch, height, width, channels]."""
        if training:
            return self.layer(inputs, training=True, mask=mask)
        import tensorflow as tf

        weights = self.layer.gamma, self.layer.beta, self.layer.moving_mean, self.layer.moving_variance
        scale, offset, mean, variance = map(tf.convert_to_tensor, weights)
        epsilon = self.layer.epsilon
        return tf.raw_ops.FusedBatchNormV3(
            x=inputs, scale=scale, offset=offset, mean=mean, variance=variance, epsilon=epsilon, is_training=False
        ).y


def with_faster_layers(network: keras.Model) -> keras.Model:
    """Give the same network, sharing all weights, with layers in their faster form where they have one.

    Where the backend isn't TensorFlow, or there is a GPU, it is the network itself.
    """
    return keras.models.clone_model(network, clone_function=_faster) if tensorflow_on_cpu() else network


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
