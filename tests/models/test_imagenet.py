"""ImageNet's names, and what counts as the same name."""

import pytest

from unfreeze.models.imagenet import find_imagenet_classes, imagenet_classes


def titles(word: str) -> list[str]:
    return [imagenet_classes()[number].title for number in find_imagenet_classes(word)]


def test_a_thousand_classes_in_the_order_of_the_outputs():
    classes = imagenet_classes()
    assert len(classes) == 1000
    # WordNet ids ascend in ImageNet's order, which is that of every classifier's outputs
    assert [each.wordnet_id for each in classes] == sorted({each.wordnet_id for each in classes})
    known = {0: "tench", 281: "tabby", 285: "Egyptian cat", 928: "ice cream", 963: "pizza", 999: "toilet tissue"}
    assert {number: classes[number].name for number in known} == known


def test_titles_tell_classes_of_the_same_name_apart():
    classes = imagenet_classes()
    assert len({each.title for each in classes}) == 1000
    assert {each.title for each in classes if each.title != each.name} == {
        *("crane (n02012849)", "crane (n03126707)"),
        *("maillot (n03710637)", "maillot (n03710721)"),
    }


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("pizza", ["pizza"]),
        ("ice_cream", ["ice cream"]),
        ("Ice-Cream", ["ice cream"]),
        ("hot_dog", ["hotdog"]),
        ("granny smith", ["Granny Smith"]),
        ("jack_o_lantern", ["jack-o'-lantern"]),
        ("strawberries", ["strawberry"]),
        ("bell peppers", ["bell pepper"]),
        ("mosquito_nets", ["mosquito net"]),
        ("burritos", ["burrito"]),
        ("finches", []),  # no plain finch there
        ("jeans", ["jean"]),
        ("bras", []),  # not brass
        ("sunglass", ["sunglass"]),  # the name itself comes before the plural
        ("sunglasses", ["sunglasses"]),
        ("crane", ["crane (n02012849)", "crane (n03126707)"]),
        ("cardigan", ["Cardigan", "cardigan"]),  # a dog and a garment
        ("n02012849", ["crane (n02012849)"]),
        ("crane (n03126707)", ["crane (n03126707)"]),
        ("hamburger", []),
        ("pizzeria", []),
        ("apple", []),  # neither custard apple nor pineapple
        ("", []),
        ("_", []),
    ],
)
def test_which_classes_a_word_means(word, found):
    assert titles(word) == found


def test_food_visions_classes():
    names = "chicken_curry chicken_wings fried_rice grilled_salmon hamburger ice_cream pizza ramen steak sushi"
    assert {name: titles(name) for name in names.split() if titles(name)} == {
        "ice_cream": ["ice cream"],
        "pizza": ["pizza"],
    }
