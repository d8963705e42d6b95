"""From a recipe's text to plain data: safe for text by anybody, of any size and shape."""

import re
from typing import Any

import yaml

from unfreeze.errors import RecipeError
from unfreeze.text import in_a_line

LONGEST = 10**6
"""Characters that a recipe may have."""

MOST_VALUES = 10**5
"""Values that a recipe may have once all its aliases are written out; a few lines of them could stand for billions."""


class _Loader(yaml.SafeLoader):
    """YAML's safe loader, taught that `1e-3` is a number and that a key must not stand twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        if len(set(keys)) < len(keys):
            twice = next(key for key in keys if keys.count(key) > 1)
            raise yaml.constructor.ConstructorError(None, None, f"the key `{twice}` stands twice", node.start_mark)
        return super().construct_mapping(node, deep=deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$"), list("-+.0123456789")
)


def parse_yaml(text: str, where: str) -> Any:
    """Read YAML as plain data; no tag makes an object of another kind.

    Args:
        text: of a recipe, or of one value in it.
        where: what errors call it.

    Raises:
        RecipeError: it is no YAML, too long, or nested too deeply.
    """
    if len(text) > LONGEST:
        raise RecipeError(f"{where} has {len(text):,} characters. A recipe has at most {LONGEST:,}.")
    try:
        loader = _Loader(text)
        node: Any = loader.get_single_node()
        if node is None:
            return None
        _count(node, {})
        return loader.construct_document(node)
    except RecursionError:
        raise RecipeError(f"{where} is nested too deeply for a recipe. Check its brackets and indentation.") from None
    except Exception as error:  # a tag on a value of another type gets nearly any error out of PyYAML
        raise RecipeError(f"{where} is not valid YAML: {in_a_line(str(error)) or type(error).__name__}") from error


def _count(node: Any, counts: dict[int, int | None]) -> int:
    """Count the values that a node stands for, aliases written out.

    Raises:
        yaml.YAMLError: too many, or a node that stands inside itself.
    """
    if id(node) in counts:
        known = counts[id(node)]
        if known is None:
            raise yaml.YAMLError(f"an anchor stands inside itself{node.start_mark}")
        return known
    counts[id(node)] = None
    parts = node.value if isinstance(node, yaml.CollectionNode) else ()
    inner = [part for item in parts for part in (item if isinstance(item, tuple) else (item,))]
    count = 1 + sum(_count(part, counts) for part in inner)
    if count > MOST_VALUES:
        raise yaml.YAMLError(f"with its aliases written out it has more than {MOST_VALUES:,} values")
    counts[id(node)] = count
    return count
