"""Whatever stands in a recipe: it is read, or refused in words."""

import importlib.resources
import random
import re
import time
from itertools import pairwise
from pathlib import Path

import pytest

from tests.reliability.mutations import BOMB, MERGE_BOMB, mutate
from unfreeze.errors import UnfreezeError
from unfreeze.series.recipe import read_recipe, resolve, shipped_recipes

LONGEST_MESSAGE = 20_000
LONGEST_SECONDS = 5.0


def shipped(name: str) -> str:
    return (importlib.resources.files("unfreeze") / "recipes" / f"{name}.yaml").read_text(encoding="utf-8")


def outcome(text: str, folder: Path) -> str | None:
    """Read a recipe and complete it; gives the message where it is refused."""
    file = folder / "recipe.yaml"
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        resolve(read_recipe(file))
    except UnfreezeError as error:
        return str(error)
    return None


def check(number: int, folder: Path) -> str | None:
    draw = random.Random(number)
    text = mutate(shipped(draw.choice(shipped_recipes())), draw)
    started = time.process_time()
    try:
        message = outcome(text, folder)
    except Exception as error:
        error.add_note(f"Mutation {number}:\n{text[:3000]}")
        raise
    assert time.process_time() - started < LONGEST_SECONDS, number
    if message is not None:
        assert 20 < len(message) <= LONGEST_MESSAGE, (number, len(message))
        message.encode("utf-8")  # it can be shown
        assert not re.search(r"[\0\x07\x1b]", message), number
    return message


def test_mutated_recipes_are_read_or_refused(tmp_path):
    refused = [check(number, tmp_path) is not None for number in range(300)]
    assert 150 < sum(refused) < 300  # some do no harm, such as another number of epochs


@pytest.mark.slow
def test_many_mutated_recipes_are_read_or_refused(tmp_path):
    for number in range(1000, 11_000):
        check(number, tmp_path)


@pytest.mark.parametrize("bomb", [BOMB, MERGE_BOMB], ids=["aliases", "merge keys"])
def test_aliases_that_stand_for_billions_of_values_are_refused(bomb, tmp_path):
    assert "with its aliases written out it has more than 100,000 values" in (outcome(bomb, tmp_path) or "")


def test_anchors_are_good_for_what_they_are_for(tmp_path):
    text = "{name: a, augment: &a {flip: vertical}, experiments: {m: {augment: *a}, n: {augment: {<<: *a, zoom: 0.1}}}}"
    assert outcome(text, tmp_path) is None


@pytest.mark.parametrize("tag", ["!!python/object/apply:os.mkdir [{}]", "!!python/object/new:os.mkdir [[{}]]"])
def test_no_tag_runs_code(tag, tmp_path):
    canary = tmp_path / "canary"
    message = outcome(f"{{name: {tag.format(canary)}, experiments: {{a: {{}}}}}}", tmp_path)
    assert "could not determine a constructor for the tag" in (message or "")
    assert not canary.exists()


@pytest.mark.parametrize(
    "place", ["{}: {{}}", "a: {{from: {}}}", "a: {{epochs: {}}}", "a: {{{}: 1}}", "{}: {{}}, b: {{from: c}}"]
)
def test_a_number_of_thousands_of_digits_is_refused(place, tmp_path):
    experiments = place.format("0x" + "f" * 5000)
    assert "experiments" in (outcome(f"name: a\nexperiments: {{{experiments}}}", tmp_path) or "")


@pytest.mark.parametrize("name", ["../../escaped", "/escaped", "a/b", "..", ".", "", "a@b", "-a", "a b"])
def test_an_experiment_is_named_like_a_folder_and_leads_nowhere_else(name, tmp_path):
    message = outcome(f"name: a\nexperiments: {{{name!r}: {{epochs: 1}}}}", tmp_path)
    assert f"experiments.{name}: expected a name of letters, digits" in (message or "")


def test_a_mistake_is_found_below_names_with_capitals(tmp_path):
    text = "{name: a, experiments: {Model_A: {epochs: few}, str: {augment: {zom: 1}}}}"
    message = outcome(text, tmp_path) or ""
    assert "experiments.Model_A.epochs: expected a whole number, got 'few'" in message
    assert "experiments.str.augment.zom: unknown key (did you mean `zoom`?)" in message


def test_a_line_of_thousands_of_experiments_is_followed(tmp_path):
    names = [f"e{number}" for number in range(2000)]
    lines = [f"  {child}: {{from: {parent}}}" for child, parent in pairwise(names)]
    assert outcome("\n".join(["name: a", "experiments:", *lines, "  e1999: {}"]), tmp_path) is None
