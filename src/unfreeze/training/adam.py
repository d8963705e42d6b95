"""Adam, in the form that costs least."""

from typing import Any

import keras

from unfreeze.gpu import tensorflow_on_cpu


def adam(learning_rate: float) -> keras.optimizers.Adam:
    """Give Keras's Adam with its usual settings; TensorFlow on a CPU takes each variable's step in one operation."""
    kind = OneOperation if tensorflow_on_cpu() else keras.optimizers.Adam
    return kind(learning_rate, name="adam")


class OneOperation(keras.optimizers.Adam):
    """Adam as Keras has it, the same to rounding.

    Keras writes a step as ten operations, each of which goes through all weights. For EfficientNet-Lite0's last 20
    layers that takes twice as long, which is a thirtieth of a training step, and half a second more to trace.
    """

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Change one variable and its two moments."""
        import tensorflow as tf

        index = self._get_variable_index(variable)
        done: Any = self.iterations
        numbers: Any = (self.beta_1, self.beta_2, self.epsilon, learning_rate, done + 1)
        beta_1, beta_2, epsilon, rate, step = (tf.cast(number, variable.dtype) for number in numbers)
        tf.raw_ops.ResourceApplyAdam(
            var=variable.handle,
            m=self._momentums[index].value.handle,
            v=self._velocities[index].value.handle,
            beta1_power=beta_1**step,
            beta2_power=beta_2**step,
            lr=rate,
            beta1=beta_1,
            beta2=beta_2,
            epsilon=epsilon,
            grad=tf.cast(gradient, variable.dtype),
        )
