"""Random changes to a recipe: of its data, and of its text."""

import copy
import random
from collections.abc import Callable
from typing import Any

import yaml

KEYS = (
    "",
    "name",
    "from",
    "experiments",
    "data",
    "epochs",
    "Größe",
    "a.b",
    "../../x",
    "/etc",
    "\0",
    "\ud800",
    "k" * 9000,
)
KEYS_OF_OTHER_TYPES = (None, 1, 1.5, True, ("a", 1), float("nan"))
VALUES = (
    *(None, True, False, 0, -1, 1, 2**31, -(2**63), 10**40, 1e308, -1e-308, float("nan"), float("inf"), -float("inf")),
    *(
        "",
        " ",
        "all",
        "false",
        "1e-3",
        "@",
        "@last",
        "a@b@c",
        "~",
        "\0",
        "\ud800",
        "\U0001f355",
        "\x1b[31m",
        "x" * 50_000,
    ),
    *("../../etc/passwd", "/", "C:\\nul", "mine.keras", "keras_hub:", "keras_hub:/", "file:///etc/passwd", "%n%s{0}"),
    *([], {}, [[]], [{}], {"": None}, [1, "a", None], {"blocks": 10**30}, {"views": -1}, b"\xff\0", {1: {2: {3: 4}}}),
)
TEXTS = (
    *("!!python/object/apply:os.system ['exit 9']", "!!python/name:os.system", "!!python/module:os", "!unknown x"),
    *(
        "!!bool maybe",
        "!!int ''",
        "!!int x",
        "!!float x",
        "!!timestamp x",
        "!!binary '*'",
        "!!set {a, b}",
        "!!omap [a: 1]",
    ),
    *("!!pairs [a: 1]", "!!str 1", "!!null x", "!!map x", "!!seq x", "&a [*a]", "&a {b: *a}", "*nowhere", "<<: 1"),
    *(
        "{<<: [1, 2]}",
        "? [a]\n: 1\n? [a]\n: 2",
        "{? [] : 1, ? [] : 2}",
        "{? {a: 1} : 2}",
        "2024-13-45",
        "1:99:99",
        "0b12",
    ),
    *("9" * 5000, "0x" + "f" * 5000, "1e999", ".nan", "-.inf", "...", "---", "%YAML 9.9", "%TAG ! x", "@", "`", "\t"),
    *(
        "\x00",
        "\x07",
        "\x85",
        "\u2028",
        "\ufeff",
        "'",
        '"',
        '"\\ud800"',
        '"\\x00"',
        "|",
        ">",
        "#",
        "- ",
        ": ",
        "? ",
        "&",
    ),
    *("[" * 3000, "{a: " * 3000, "a" * 30_000, "- " * 2000, "\n" * 3000, "? " * 1500),
)
BOMB = "\n".join(
    ["a0: &a0 [x, x]", *(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}, *a{n - 1}, *a{n - 1}]" for n in range(1, 40))]
)
MERGE_BOMB = "\n".join(
    ["m0: &m0 {x: 1}", *(f"m{n}: &m{n} {{<<: [*m{n - 1}, *m{n - 1}, *m{n - 1}]}}" for n in range(1, 40))]
)


def mutate(text: str, draw: random.Random) -> str:
    """Change a recipe's data, its text or both, in one to four places."""
    data: Any = yaml.safe_load(text)
    steps = draw.randint(1, 4)
    if draw.random() < 0.6:
        for _ in range(steps):
            data = draw.choice(OF_DATA)(data, draw)
        text = yaml.dump(data, sort_keys=False, allow_unicode=draw.random() < 0.5)
        steps = draw.choice((0, 0, 1))
    for _ in range(steps):
        text = draw.choice(OF_TEXT)(text, draw)
    return text


def _places(data: Any) -> list[tuple[Any, Any]]:
    """Every container in the data, with each of its keys or positions."""
    found: list[tuple[Any, Any]] = []
    waiting, seen = [data], set[int]()
    while waiting:
        here = waiting.pop()
        if isinstance(here, dict | list) and id(here) not in seen:
            seen.add(id(here))
            items = list(here.items()) if isinstance(here, dict) else list(enumerate(here))
            found += [(here, key) for key, _ in items]
            waiting += [value for _, value in items]
    return found


def _somewhere(change: Callable[[Any, Any, random.Random], None]) -> Callable[[Any, random.Random], Any]:
    def of_data(data: Any, draw: random.Random) -> Any:
        if places := _places(data):
            change(*draw.choice(places), draw)
        return data

    return of_data


def _replace(here: Any, key: Any, draw: random.Random) -> None:
    here[key] = copy.deepcopy(draw.choice(VALUES))


def _wrap(here: Any, key: Any, draw: random.Random) -> None:
    for _ in range(draw.choice((1, 2, 50))):
        here[key] = draw.choice(([here[key]], {"a": here[key]}, [here[key], here[key]]))


def _delete(here: Any, key: Any, draw: random.Random) -> None:
    del here[key]


def _rename(here: Any, key: Any, draw: random.Random) -> None:
    if isinstance(here, dict):
        typo = draw.choice((f"{key}s", str(key)[1:], str(key).upper(), f" {key}", str(key)[::-1]))
        here[draw.choice((*KEYS, *KEYS_OF_OTHER_TYPES, typo))] = here.pop(key)


def _swap(here: Any, key: Any, draw: random.Random) -> None:
    other = draw.choice(list(here) if isinstance(here, dict) else range(len(here)))
    here[key], here[other] = here[other], here[key]


def _multiply(here: Any, key: Any, draw: random.Random) -> None:
    (count,) = draw.choices((1, 3, 300), (50, 50, 2))
    if isinstance(here, dict):
        here |= {f"{key}-{number}": here[key] for number in range(count)}
    else:
        here += [here[key]] * count


def _descend(data: Any, draw: random.Random) -> Any:
    """Let experiments start from one another, round in a circle or in a long line."""
    if isinstance(data, dict):
        (count,) = draw.choices((2, 30, 1500), (50, 50, 2))
        names = [f"e{number}" for number in range(count)]
        first = draw.choice((None, names[-1]))
        pairs = list(zip(names, [first, *names], strict=False))[:: draw.choice((1, -1))]
        data["experiments"] = {name: {"from": parent} if parent else {} for name, parent in pairs}
    return data


def _root(data: Any, draw: random.Random) -> Any:
    return copy.deepcopy(draw.choice(VALUES)) if draw.random() < 0.1 else data


def _spot(text: str, draw: random.Random) -> int:
    return draw.randint(0, len(text))


def _insert(text: str, draw: random.Random) -> str:
    spot = _spot(text, draw)
    return text[:spot] + draw.choice(TEXTS) + text[spot:]


def _instead_of_a_value(text: str, draw: random.Random) -> str:
    colons = [number for number, letter in enumerate(text) if letter == ":"]
    if not colons:
        return text
    spot = draw.choice(colons) + 1
    ends = [end for end in (text.find(mark, spot) for mark in ",}\n") if end >= 0]
    return f"{text[:spot]} {draw.choice(TEXTS)}{text[min(ends, default=len(text)) :]}"


def _cut(text: str, draw: random.Random) -> str:
    first, last = sorted((_spot(text, draw), _spot(text, draw)))
    return draw.choice((text[:first], text[first:], text[:first] + text[last:]))


def _letters(text: str, draw: random.Random) -> str:
    letters = list(text)
    for _ in range(min(len(letters), draw.choice((1, 5, 40)))):
        letters[draw.randrange(len(letters))] = draw.choice("{}[]:,&*!|>'\"%@`#-? \n\t\0a0\u2028é")
    return "".join(letters)


def _lines(text: str, draw: random.Random) -> str:
    lines = text.splitlines(keepends=True) or [""]
    line = draw.choice(lines)
    lines.insert(draw.randint(0, len(lines)), draw.choice((line, f" {line}", f"\t{line}", line[1:])))
    return "".join(lines)


def _bomb(text: str, draw: random.Random) -> str:
    bomb = draw.choice((BOMB, MERGE_BOMB))
    last = bomb.rpartition("\n")[2].partition(":")[0]
    return f"{bomb}\n{text}\n{draw.choice((f'epochs: *{last}', f'references: *{last}', f'x: {{<<: *{last}}}', ''))}\n"


OF_DATA = (
    *[_somewhere(change) for change in (_replace, _replace, _replace, _wrap, _delete, _rename, _rename, _swap)],
    *[_somewhere(_multiply), _descend, _root],
)
OF_TEXT = (_insert, _instead_of_a_value, _instead_of_a_value, _cut, _letters, _lines, _bomb)
