"""Layers that TensorFlow trains faster on a CPU in another form: the same weights, the same numbers to rounding.

All of it is for inference mode, in which unfrozen layers are trained, too: normalization then is a product and a sum,
and the convolution before it can do both.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

import keras

from unfreeze.features.graph import Call, calls
from unfreeze.gpu import tensorflow_on_cpu


class Folded(keras.layers.Layer):
    """A 1 x 1 or depthwise convolution together with the normalization and activation that follow it.

    Normalization's factors go into the kernel and the bias, so TensorFlow passes over the feature maps once and not
    three times. A 1 x 1 convolution runs as the matrix product that it is: TensorFlow's gradient of a convolution's
    kernel does 25 billion multiply-adds a second on two cores, where a matrix product does 50 billion. Wider
    convolutions train no faster with a kernel that is computed, so they stay as they are.

    Args:
        convolution: a Conv2D or DepthwiseConv2D; shared, not copied, as are the others.
        normalization: what follows it, or None.
        activation: what follows that, or None.
    """

    def __init__(self, convolution: Any, normalization: Any = None, activation: Any = None):
        super().__init__(name=convolution.name, dtype=convolution.dtype_policy)
        self.convolution, self.normalization, self.activation = convolution, normalization, activation
        self.built = True

    def call(self, inputs: Any) -> Any:
        """Run them on [batch, height, width, channels]."""
        kernel, bias = self._folded()
        outputs = self._convolved(inputs, kernel)
        if bias is not None:
            import tensorflow as tf

            outputs = tf.nn.bias_add(outputs, bias)  # which TensorFlow joins with what is before and after it
        outputs = self.convolution.activation(outputs)
        if self.activation:
            outputs = self.activation(outputs)
        if len(outputs.shape) == 2:
            outputs = keras.ops.reshape(outputs, (-1, *inputs.shape[1:3], outputs.shape[1]))
        return outputs

    def _convolved(self, inputs: Any, kernel: Any) -> Any:
        """Give the outputs before the bias; those of a matrix product are rows [batch x height x width, channels]."""
        if type(self.convolution) is keras.layers.Conv2D:
            return keras.ops.matmul(keras.ops.reshape(inputs, (-1, inputs.shape[-1])), kernel[0, 0])
        strides, padding, dilation = (getattr(self.convolution, it) for it in ("strides", "padding", "dilation_rate"))
        return keras.ops.depthwise_conv(inputs, kernel, strides, padding, dilation_rate=dilation)

    def _folded(self) -> tuple[Any, Any]:
        """Give kernel and bias with the normalization in them."""
        convolution, normalization = self.convolution, self.normalization
        kernel: Any = keras.ops.convert_to_tensor(convolution.kernel)
        bias: Any = keras.ops.convert_to_tensor(convolution.bias) if convolution.use_bias else None
        if not normalization:
            return kernel, bias
        scale: Any = keras.ops.rsqrt(normalization.moving_variance + normalization.epsilon)
        if normalization.scale:
            scale = scale * normalization.gamma
        offset = -normalization.moving_mean if bias is None else bias - normalization.moving_mean
        offset = offset * scale
        if normalization.center:
            offset = offset + normalization.beta
        channels = kernel.shape[3:] if type(convolution) is keras.layers.Conv2D else kernel.shape[2:]
        return kernel * keras.ops.reshape(scale, channels), offset


class Normalization(keras.layers.Layer):
    """BatchNormalization without a convolution before it, run as one operation.

    Keras writes it as a product and a sum; with their gradients these take twice as long as TensorFlow's own operation.

    Args:
        layer: shared, not copied.
    """

    def __init__(self, layer: Any):
        super().__init__(name=layer.name, dtype=layer.dtype_policy)
        self.layer = layer
        self.built = True

    def call(self, inputs: Any, mask: Any = None) -> Any:
        """Run it on [batch, height, width, channels]; there is no mask."""
        import tensorflow as tf

        weights = self.layer.gamma, self.layer.beta, self.layer.moving_mean, self.layer.moving_variance
        scale, offset, mean, variance = map(tf.convert_to_tensor, weights)
        epsilon = self.layer.epsilon
        return tf.raw_ops.FusedBatchNormV3(
            x=inputs, scale=scale, offset=offset, mean=mean, variance=variance, epsilon=epsilon, is_training=False
        ).y


def with_faster_layers(network: keras.Model) -> keras.Model:
    """Give the same network in inference mode, sharing all weights, with layers in their faster form.

    Where the backend isn't TensorFlow, or there is a GPU, it is the network itself.
    """
    if not tensorflow_on_cpu():
        return network
    forms = _faster_forms(network)
    return keras.models.clone_model(
        network,
        clone_function=lambda layer: forms.get(layer, layer),
        call_function=lambda layer, *args, **kwargs: layer(*args, **kwargs) if layer else args[0],
    )


def _faster_forms(network: keras.Model) -> dict[keras.Operation, keras.layers.Layer | None]:
    """Give layers' faster forms; None where a convolution does their work, too."""
    forms: dict[keras.Operation, keras.layers.Layer | None] = {}
    users = _users(network)
    times = Counter(call.layer for call in calls(network))
    for call in calls(network):
        layer: Any = call.layer
        if layer in forms or times[layer] > 1:
            continue
        if _is_pointwise(layer) or _is_depthwise(layer):
            followers = list(_followers(call, users, times))
            forms |= {layer: Folded(layer, *followers), **dict.fromkeys(followers)}
        elif _is_normalization(layer) and layer.scale and layer.center:
            forms[layer] = Normalization(layer)
    return forms


def _users(network: keras.Model) -> dict[int, list[Call | None]]:
    """Give for each tensor's id the calls that need it; None stands for whoever uses the network's outputs."""
    users: dict[int, list[Call | None]] = defaultdict(list)
    for call in calls(network):
        for tensor in call.inputs:
            users[id(tensor)].append(call)
    for tensor in network.outputs:
        users[id(tensor)].append(None)
    return users


def _followers(call: Call, users: dict[int, list[Call | None]], times: Counter[keras.Operation]) -> Iterator[Any]:
    """Give the normalization that alone needs what a linear convolution gives, and the activation that does next."""
    convolution: Any = call.layer
    if convolution.activation is not keras.activations.linear:
        return
    for is_wanted in (_is_normalization, _is_activation):
        user, *others = users[id(call.outputs[0])]
        if user is None or others or times[user.layer] > 1 or not is_wanted(user.layer):
            return
        yield user.layer
        call = user


def _is_pointwise(layer: Any) -> bool:
    is_product = type(layer) is keras.layers.Conv2D and layer.kernel_size == layer.strides == (1, 1)
    return is_product and layer.groups == 1 and _has_known_channels_last(layer)


def _is_depthwise(layer: Any) -> bool:
    return type(layer) is keras.layers.DepthwiseConv2D and _has_known_channels_last(layer)


def _has_known_channels_last(layer: Any) -> bool:
    return layer.data_format == "channels_last" and None not in layer.output.shape[1:]


def _is_normalization(layer: Any) -> bool:
    return type(layer) is keras.layers.BatchNormalization and layer.axis in (-1, 3) and _rank(layer) == 4


def _rank(layer: Any) -> int:
    return len(layer.output.shape)


def _is_activation(layer: Any) -> bool:
    return type(layer) in (keras.layers.ReLU, keras.layers.Activation)
