"""Recipes: what they may say, and how clearly mistakes are named."""

import pytest
import yaml

from unfreeze.config import AsIs, Blocks, Recipe
from unfreeze.errors import RecipeError
from unfreeze.series.recipe import check_recipe, complete_recipe, read_recipe, resolve, shipped_recipes, write_recipe

WRONG = """
name: wrong
data: {source: photos, imagesize: 224}
epoch: 3
experiments:
  model_2: {fraction: lots, augment: {rotate: 0.2}}
  model_3: {from: model_7, unfreeze: {block: 2}}
  model_4: {from: model_5, epochs: 2.5}
  model_5: {from: model_4@best}
"""


def complain(text: str) -> str:
    with pytest.raises(RecipeError) as error:
        check_recipe(yaml.safe_load(text), "wrong.yaml")
    return str(error.value)


def one(**experiment: object) -> Recipe:
    return check_recipe({"name": "one", "experiments": {"model": experiment}}, "one.yaml")


def test_all_mistakes_are_named_at_once():
    message = complain(WRONG)
    assert "epoch: unknown key (did you mean `epochs`?); allowed are backbone, fraction" in message
    assert "data.imagesize: unknown key (did you mean `image_size`?)" in message
    assert "experiments.model_2.fraction: expected a number, got 'lots'" in message
    assert "experiments.model_2.augment.rotate: unknown key (did you mean `rotation`?)" in message
    assert "experiments.model_3.from: there is no experiment `model_7`" in message
    assert "there are model_2, model_3, model_4, model_5" in message
    assert "experiments.model_4.epochs: expected a whole number, got 2.5" in message
    assert "experiments.model_4.from: goes round in a circle: model_4 from model_5 from model_4" in message


def test_mistakes_of_one_union_are_said_once():
    message = complain("{name: a, experiments: {m: {augment: maybe}, n: {unfreeze: -1}, o: {unfreeze: 1.5}}}")
    assert message.count("experiments.m.augment") == 1
    assert message.count("experiments.n.unfreeze") == 1
    assert message.count("experiments.o.unfreeze") == 1


@pytest.mark.parametrize("text", ["[1, 2]", "just words", "", "12"])
def test_a_file_that_is_no_recipe(tmp_path, text):
    file = tmp_path / "recipe.yaml"
    file.write_text(text)
    with pytest.raises(RecipeError, match="is not a recipe"):
        read_recipe(file)


def test_invalid_yaml_and_double_keys(tmp_path):
    file = tmp_path / "recipe.yaml"
    file.write_text("name: [")
    with pytest.raises(RecipeError, match="is not valid YAML"):
        read_recipe(file)
    file.write_text("name: a\nname: b\nexperiments: {m: {}}")
    with pytest.raises(RecipeError, match="the key `name` stands twice"):
        read_recipe(file)


def test_an_unknown_name_lists_the_shipped_recipes():
    with pytest.raises(RecipeError, match=r"There is no recipe demmo: .*demo, elpv_best, elpv_published, food_vision"):
        read_recipe("demmo")


@pytest.mark.parametrize("name", shipped_recipes())
def test_shipped_recipes_resolve(name):
    experiments = resolve(read_recipe(name))
    others = {
        "practice": ["practice_0", "practice_20", "practice_30"],
        "elpv_best": ["best"],
        "elpv_published": ["feature_extraction", "fine_tuning"],
    }
    wanted = others.get(name, [f"model_{i}" for i in range(5)])
    assert [each.name for each in experiments if each.kind != "as_is"] == wanted


def test_food_vision_begins_with_the_pretrained_network():
    first = resolve(read_recipe("food_vision", ["data.image_size=64", "backbone=inceptionv3"]))[0]
    assert isinstance(first, AsIs)
    assert (first.name, first.backbone, first.class_map) == ("as_is", "inceptionv3", {"hamburger": ["cheeseburger"]})
    assert (first.image_size, first.resize, first.seeds) == (299, "crop", (0,))


def test_as_is_runs_once_whatever_the_seeds():
    first, *others = resolve(complete_recipe("food_vision", data="photos", seeds=4))
    assert first.seeds == (0,)
    assert {other.seeds for other in others} == {(0, 1, 2, 3)}


def test_as_is_has_nothing_to_do_with_training():
    message = complain(
        "{name: a, epochs: 3, unfreeze: 2, augment: {flip: horizontal}, experiments: {"
        "  as_is: {kind: as_is, epochs: 5, unfreeze: 10, from: other, augment: false, data: {resize: pad}, epoch: 3},"
        "  plain: {kind: as_is, backbone: vgg16},"
        "  child: {from: plain@last},"
        "  other: {class_map: {a: [b]}},"
        "  wrong: {kind: as is},"
        "  words: {kind: as_is, class_map: {a: b}}}}"
    )
    nothing = "means nothing for `kind: as_is`, which takes the pretrained network as it is; leave it out"
    for key in ("epochs", "unfreeze", "from", "augment", "data"):
        assert f"- experiments.as_is.{key}: {nothing}\n" in message
    assert "- experiments.as_is.epoch: unknown key" in message
    assert message.count(nothing) == 5  # what stands at the top does no harm
    assert "experiments.child.from: `plain` is as-is, so nothing of it is trained; leave `from` out" in message
    assert "experiments.other.class_map: is for `kind: as_is`; add that, or leave it out" in message
    assert "experiments.wrong.kind: expected 'as_is', got 'as is'" in message
    assert "experiments.words.class_map.a: expected a list, got 'b'" in message


def test_the_ways_to_resize():
    assert [resolve(one(data={"resize": how}))[0].resize for how in ("squash", "crop", "pad")] == [
        *("squash", "crop", "pad")
    ]
    with pytest.raises(RecipeError, match=r"data\.resize: expected 'squash', 'crop' or 'pad', got 'stretch'"):
        one(data={"resize": "stretch"})


def test_numbers_with_exponents_are_numbers(tmp_path):
    file = tmp_path / "recipe.yaml"
    file.write_text("{name: a, experiments: {m: {learning_rate: 1e-3}, n: {learning_rate: 2.5E-4}}}")
    rates = [experiment.phases[0].learning_rate for experiment in resolve(read_recipe(file))]
    assert rates == [1e-3, 2.5e-4]


def test_overrides_reach_inside():
    overrides = [
        "augment.views=2",
        "experiments.model_4.epochs=10",
        "data.validation=test",
        "backbone=resnet50",
    ]
    recipe = read_recipe("demo", overrides)
    experiments = {experiment.name: experiment for experiment in resolve(recipe)}
    assert recipe.data.validation == "test"
    assert experiments["model_4"].epochs == 10
    assert experiments["model_4"].views == 2
    assert experiments["model_0"].augment is False
    assert experiments["model_1"].backbone == "resnet50"
    with pytest.raises(RecipeError, match="--set epochs: expected KEY=VALUE"):
        read_recipe("demo", ["epochs"])


def test_defaults_come_from_the_top_and_can_be_overridden():
    recipe = check_recipe(
        {
            "name": "a",
            "epochs": 7,
            "data": {"batch_size": 16},
            "augment": {"flip": "horizontal"},
            "experiments": {
                "child": {"from": "parent@last", "unfreeze": 3},
                "parent": {"data": {"batch_size": 4}},
            },
        },
        "a.yaml",
    )
    parent, child = resolve(recipe)  # parents come first
    assert (parent.name, parent.batch_size, parent.epochs, parent.kind) == (
        "parent",
        4,
        7,
        "feature_extraction",
    )
    assert (child.name, child.batch_size, child.start_from, child.kind) == (
        "child",
        16,
        "parent@last",
        "fine_tuning",
    )
    assert parent.phases[0].learning_rate == 1e-3
    assert child.phases[0].learning_rate == 1e-4
    assert parent.image_size == 224
    assert parent.views == 7


def test_phases_take_the_place_of_a_single_one():
    experiment = resolve(one(phases=[{"epochs": 2}, {"unfreeze": {"blocks": 1}, "epochs": 3}]))[0]
    assert [phase.unfreeze for phase in experiment.phases] == [0, Blocks(blocks=1)]
    assert experiment.epochs == 5
    assert experiment.kind == "fine_tuning"


def test_parent_and_child_need_the_same_backbone():
    raw = {"name": "a", "experiments": {"m": {}, "n": {"from": "m", "backbone": "resnet50"}}}
    with pytest.raises(RecipeError, match=r"n starts from m, so both need the same backbone; they have resnet50 and"):
        resolve(check_recipe(raw, "a.yaml"))


def test_what_changes_nothing_is_a_mistake():
    with pytest.raises(RecipeError, match="augment: nothing is changed"):
        one(augment={"views": 2})
    with pytest.raises(RecipeError, match="seeds: the list is empty"):
        one(seeds=[])


def test_a_written_recipe_says_the_same_and_grows(tmp_path):
    recipe = read_recipe("food_vision")
    experiments = resolve(recipe)
    file = tmp_path / "recipe.yaml"
    write_recipe(file, recipe, experiments[:3])
    write_recipe(file, recipe, experiments[1:])
    assert resolve(read_recipe(file)) == experiments
