"""The augmentation of an ejected script, which gets a copy of this class: plain Keras, and the meaning of our views."""

# pyright: reportOperatorIssue=false, reportArgumentType=false, reportOptionalSubscript=false, reportOptionalOperand=false

import math

import keras


class RandomView(keras.layers.Layer):
    """Mirrors, turns and stretches each photo at random while a model is trained.

    It means RandomFlip, RandomRotation, RandomZoom of both sides and RandomZoom of
    height and width, but in one warp: each layer more would interpolate the photo, and
    so blur it, once more.
    """

    def __init__(self, flip="", rotation=0.0, zoom=0.0, height=0.0, width=0.0, seed=0):
        super().__init__(name="augmentation")
        self.flip, self.rotation = flip, rotation
        self.zoom, self.height, self.width = zoom, height, width
        self.draws = keras.random.SeedGenerator(seed)
        self.supports_jit = False  # XLA can't warp

    def call(self, photos, training=False):
        """Draw views of photos, [batch, size, size, channels]."""
        if not training:
            return photos

        def draw(limit):
            count = keras.ops.shape(photos)[0]
            return keras.random.uniform((count,), -limit, limit, seed=self.draws)

        def mirror(axis):
            return keras.ops.sign(draw(1)) if axis in self.flip else 1.0

        mirror_x, mirror_y = mirror("horizontal"), mirror("vertical")
        angle = draw(2 * math.pi * self.rotation)
        zoom = 1 + draw(self.zoom)
        scale_y, scale_x = zoom * (1 + draw(self.height)), zoom * (1 + draw(self.width))
        cosine, sine = keras.ops.cos(angle), keras.ops.sin(angle)

        # From a place in the view to the photo's: scaled, turned, mirrored about the middle
        xx, xy = mirror_x * cosine * scale_x, -mirror_x * sine * scale_y
        yx, yy = mirror_y * sine * scale_x, mirror_y * cosine * scale_y
        middle, zero = (photos.shape[1] - 1) / 2, keras.ops.zeros_like(angle)
        x, y = middle * (1 - xx - xy), middle * (1 - yx - yy)
        matrix = keras.ops.stack([xx, xy, x, yx, yy, y, zero, zero], axis=1)
        return keras.ops.image.affine_transform(photos, matrix, fill_mode="reflect")
