"""Views against Keras's own augmentation layers, and their distribution against its definition."""

import math

import numpy as np
import pytest
from PIL import Image
from scipy import stats

from unfreeze.config import Augmentation
from unfreeze.data.photos import decode, resize
from unfreeze.data.sources import open_source
from unfreeze.data.views import make_view, view_matrix, warp

FOOD_VISION = Augmentation(flip="horizontal", rotation=0.2, zoom=0.2, height=0.2, width=0.2)
SIZE = 64
DRAWS = 4000


def matrices(augment: Augmentation, count: int = DRAWS) -> np.ndarray:
    """Draw views of many photos: [count, 2, 3]."""
    return np.array([view_matrix(augment, SIZE, 0, f"{number // 4:064x}", number % 4) for number in range(count)])


def parts(matrix: np.ndarray) -> tuple[float, float, float, float]:
    """Take a map without a vertical flip apart: mirror (1 or -1), angle, scale of x, scale of y."""
    (a, b), (c, d) = matrix[:, :2]
    scale_x, scale_y = math.hypot(a, c), math.hypot(b, d)
    return math.copysign(1, a * d - b * c), math.atan2(c / scale_x, d / scale_y), scale_x, scale_y


def assert_uniform(values: np.ndarray, low: float, high: float) -> None:
    assert values.min() >= low
    assert values.max() <= high
    assert stats.kstest(values, stats.uniform(low, high - low).cdf).pvalue > 0.01


def test_without_augmentation_a_view_is_the_photo() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
    np.testing.assert_array_equal(view_matrix(Augmentation(), SIZE, 0, "ab", 0), [[1, 0, 0], [0, 1, 0]])
    np.testing.assert_array_equal(make_view(pixels, Augmentation(), SIZE, 0, "ab", 0), pixels)


def test_the_first_of_a_stated_number_of_views_is_the_photo() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
    fresh, stated = FOOD_VISION, FOOD_VISION.model_copy(update={"views": 2})
    np.testing.assert_array_equal(make_view(pixels, stated, SIZE, 0, "ab", 0), pixels)
    assert (make_view(pixels, fresh, SIZE, 0, "ab", 0) != pixels).any()
    np.testing.assert_array_equal(*(make_view(pixels, augment, SIZE, 0, "ab", 1) for augment in (fresh, stated)))


@pytest.mark.parametrize(
    ("flip", "expected"),
    [
        ("horizontal", {(1, 1): 0.5, (-1, 1): 0.5}),
        ("vertical", {(1, 1): 0.5, (1, -1): 0.5}),
        ("horizontal_and_vertical", {(1, 1): 0.25, (-1, 1): 0.25, (1, -1): 0.25, (-1, -1): 0.25}),
    ],
)
def test_flips_mirror_half_of_the_photos_each_way(flip: str, expected: dict[tuple[int, int], float]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8)
    augment = Augmentation.model_validate({"flip": flip})
    found = matrices(augment)
    mirrors = [(round(matrix[0, 0]), round(matrix[1, 1])) for matrix in found]
    for kind, share in expected.items():
        assert mirrors.count(kind) == pytest.approx(share * DRAWS, abs=4 * math.sqrt(DRAWS * share * (1 - share)))
        mirrored = pixels[:: kind[1], :: kind[0]]
        np.testing.assert_array_equal(warp(pixels, found[mirrors.index(kind)]), mirrored)
    assert set(mirrors) == set(expected)


def test_every_setting_is_drawn_uniformly_over_its_range() -> None:
    turned = np.array([parts(matrix) for matrix in matrices(Augmentation(rotation=0.1))])
    assert_uniform(turned[:, 1], -0.2 * math.pi, 0.2 * math.pi)
    np.testing.assert_allclose(turned[:, 2:], 1)
    zoomed = np.array([parts(matrix) for matrix in matrices(Augmentation(zoom=0.3))])
    assert_uniform(zoomed[:, 2], 0.7, 1.3)
    np.testing.assert_allclose(zoomed[:, 2], zoomed[:, 3])
    stretched = np.array([parts(matrix) for matrix in matrices(Augmentation(height=0.2, width=0.4))])
    assert_uniform(stretched[:, 3], 0.8, 1.2)
    assert_uniform(stretched[:, 2], 0.6, 1.4)
    assert (stretched[:, 0] == 1).all()


def test_settings_are_drawn_independently_of_each_other() -> None:
    single = [
        np.array([parts(matrix) for matrix in matrices(augment)])[:, column]
        for augment, column in [
            (Augmentation(flip="horizontal"), 0),
            (Augmentation(rotation=0.2), 1),
            (Augmentation(zoom=0.2), 2),
            (Augmentation(height=0.2), 3),
            (Augmentation(width=0.2), 2),
        ]
    ]
    mirror, angle, zoom, height, width = single
    correlations = np.corrcoef(single)
    assert np.abs(correlations - np.eye(5)).max() < 4 / math.sqrt(DRAWS)
    # Together they are what they are alone: adding a setting changes no other.
    found = np.array([parts(matrix) for matrix in matrices(FOOD_VISION)])
    expected = np.column_stack([mirror, angle, zoom * width, zoom * height])
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_views_differ_by_seed_photo_and_number_and_by_nothing_else() -> None:
    names = [(0, "a", 0), (1, "a", 0), (0, "b", 0), (0, "a", 1), (0, "a", 10), (11, "a", 0), (1, "1a", 0)]
    found = [view_matrix(FOOD_VISION, SIZE, *name) for name in names]
    assert len({matrix.tobytes() for matrix in found}) == len(names)
    again = [view_matrix(FOOD_VISION, SIZE, *name) for name in reversed(names)]
    np.testing.assert_array_equal(again[::-1], found)


def test_a_view_follows_from_sha512_of_its_name() -> None:
    # printf '5:c0ffee:3' | sha512sum; the third 64-bit word turns the photo.
    word = int.from_bytes(bytes.fromhex("37c6d768b38c7ed1"), "little")
    share = (word >> 11) / 2**53
    _, angle, _, _ = parts(view_matrix(Augmentation(rotation=0.25), SIZE, 5, "c0ffee", 3))
    assert angle == pytest.approx((2 * share - 1) * math.pi / 2)


def test_larger_photos_have_the_same_view() -> None:
    small, large = (view_matrix(FOOD_VISION, size, 0, "ab", 1) for size in (101, 201))
    np.testing.assert_allclose(small[:, :2], large[:, :2])
    np.testing.assert_allclose(small @ [50, 50, 1], [50, 50])
    np.testing.assert_allclose(large @ [100, 100, 1], [100, 100])


def test_warp_turns_by_a_right_angle_to_the_pixel() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    np.testing.assert_array_equal(warp(pixels, np.array([[0.0, 1, 0], [-1, 0, 8]])), pixels.transpose(1, 0, 2)[:, ::-1])


def keras_warp(pixels: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    from keras import ops

    transform = np.append(matrix.ravel(), [0, 0]).astype("float32")
    warped = ops.image.affine_transform(
        pixels.astype("float32"), transform, interpolation="bilinear", fill_mode="reflect"
    )
    return ops.convert_to_numpy(warped)


def test_warp_is_keras_affine_transform_rounded() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (224, 224, 3), dtype=np.uint8)
    cells = [resize(decode(item.file.read_bytes()), 224, "squash") for item in open_source("elpv").items[::500]]
    strong = Augmentation(flip="horizontal_and_vertical", rotation=0.5, zoom=0.8, height=0.5, width=0.5)
    for number, pixels in enumerate([noise, *cells]):
        for augment in (FOOD_VISION, strong):
            matrix = view_matrix(augment, 224, 0, f"photo {number}", 0)
            assert np.abs(warp(pixels, matrix) - keras_warp(pixels, matrix)).max() < 0.52


def test_the_map_is_that_of_keras_layers_one_after_the_other() -> None:
    import keras

    # Bilinear sampling is exact on a photo of its own coordinates, so the layers give the map itself,
    # wherever no layer has looked beyond the edge.
    size = 101
    y, x = np.mgrid[:size, :size].astype("float32")
    compared = 0
    for view in range(20):
        matrix = view_matrix(FOOD_VISION, size, 0, "photo", view)
        mirror, angle, scale_x, scale_y = parts(matrix)
        turn = angle / (2 * math.pi)
        photo = keras.ops.convert_to_tensor(np.dstack([x, y, np.zeros_like(x)])[None])
        if mirror < 0:
            photo = photo[:, :, ::-1]
        photo = keras.layers.RandomRotation((turn, turn))(photo, training=True)
        zooms = (scale_y - 1, scale_y - 1), (scale_x - 1, scale_x - 1)
        photo = keras.layers.RandomZoom(*zooms)(photo, training=True)
        found = keras.ops.convert_to_numpy(photo)[0]
        expected = np.einsum("ij,yxj->yxi", matrix, np.dstack([x, y, np.ones_like(x)]))
        middle = np.hypot(x - 50, y - 50) < 50 / 1.44
        np.testing.assert_allclose(found[middle][:, :2], expected[middle], atol=1e-3)
        compared += middle.sum()
    assert compared > 50_000


def test_a_view_of_a_photograph_looks_like_keras_layers_made_it() -> None:
    import keras

    coarse = np.random.default_rng(3).integers(0, 256, (7, 7, 3), dtype=np.uint8)
    pixels = np.asarray(Image.fromarray(coarse).resize((SIZE, SIZE), Image.Resampling.BICUBIC))
    zoom = Augmentation(zoom=0.2)
    scale = parts(view_matrix(zoom, SIZE, 0, "photo", 0))[2]
    layer = keras.layers.RandomZoom((scale - 1, scale - 1), fill_mode="reflect")
    expected = keras.ops.convert_to_numpy(layer(pixels[None].astype("float32"), training=True))[0]
    assert np.abs(make_view(pixels, zoom, SIZE, 0, "photo", 0) - expected).max() < 0.52
