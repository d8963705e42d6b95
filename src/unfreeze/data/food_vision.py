"""Food Vision: ten classes of Food-101, 750 photos each for training and 250 for test."""

from pathlib import Path

from unfreeze.data.download import fetch
from unfreeze.data.folders import open_unpacked
from unfreeze.data.items import Source
from unfreeze.errors import DataError

URL = "https://storage.googleapis.com/ztm_tf_course/food_vision/10_food_classes_all_data.zip"
"""The archive as it was published, with `train/CLASS/*` and `test/CLASS/*`."""

CLASSES = (
    "chicken_curry",
    "chicken_wings",
    "fried_rice",
    "grilled_salmon",
    "hamburger",
    "ice_cream",
    "pizza",
    "ramen",
    "steak",
    "sushi",
)


def open_food_vision(cache: Path) -> Source:
    """List the photos of Food Vision, which are fetched the first time.

    Raises:
        DataError: they can't be fetched; the message says how to bring them here by hand.
    """
    try:
        source = open_unpacked(fetch(URL, cache), "food-vision", URL)
        if {item.label for item in source.items} != set(CLASSES):
            raise DataError(f"{URL} does not hold the classes {', '.join(CLASSES)}.")
    except DataError as error:
        raise DataError(
            f"The photos of food-vision are not at hand. {error}\n"
            f"Fetch that archive by hand, on any machine, and give it: --data {URL.rpartition('/')[2]}. "
            "Food-101's own food-101.tar.gz does as well, with all its 101 classes: --data food-101.tar.gz."
        ) from error
    return source
