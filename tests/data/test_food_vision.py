"""The ten classes of Food Vision, fetched by name, or by hand where that fails."""

import io
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.data.conftest import Server

from unfreeze.data import download, food_vision
from unfreeze.data.sources import open_source
from unfreeze.errors import DataError


@pytest.fixture(autouse=True)
def published(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the published archive be looked for on this machine."""
    monkeypatch.setenv("UNFREEZE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(food_vision, "URL", f"{server.url}/10_food_classes_all_data.zip")
    monkeypatch.setattr(download, "DOWNLOAD_PAUSE", 0.001)


def archive(encode: Callable[..., bytes], classes: tuple[str, ...]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as content:
        for number, label in enumerate(classes):
            for split, count in (("train", 3), ("test", 1)):
                for photo in range(count):
                    name = f"10_food_classes_all_data/{split}/{label}/{photo}.png"
                    content.writestr(name, encode(10 * number + photo + 5 * (split == "test")))
    return buffer.getvalue()


def test_it_is_fetched_by_its_name_and_kept(server: Server, encode_photo: Callable[..., bytes]) -> None:
    server.files["/10_food_classes_all_data.zip"] = archive(encode_photo, food_vision.CLASSES)
    server.cuts = [20_000]
    source = open_source("food-vision")
    assert source.name == "food-vision"
    assert source.splits_given
    assert Counter(item.label for item in source.items) == dict.fromkeys(food_vision.CLASSES, 4)
    assert source.items[0].path == "test/chicken_curry/0.png"
    server.files.clear()
    assert open_source("food-vision") == source


def test_where_it_can_not_be_reached_the_error_says_how_to_fetch_it_by_hand() -> None:
    with pytest.raises(DataError) as error:
        open_source("food-vision")
    assert str(error.value) == (
        f"The photos of food-vision are not at hand. {food_vision.URL} can't be fetched: the server answers 404 "
        "(Not Found). Check the address, and whether it needs a login.\n"
        "Fetch that archive by hand, on any machine, and give it: --data 10_food_classes_all_data.zip. Food-101's own "
        "food-101.tar.gz does as well, with all its 101 classes: --data food-101.tar.gz."
    )


def test_another_archive_in_its_place_is_refused(server: Server, encode_photo: Callable[..., bytes]) -> None:
    server.files["/10_food_classes_all_data.zip"] = archive(encode_photo, ("pizza", "steak"))
    with pytest.raises(DataError, match="does not hold the classes chicken_curry, chicken_wings, "):
        open_source("food-vision")
