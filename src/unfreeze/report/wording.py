"""How settings and figures read in tables and pictures."""

from typing import Any

_KINDS = {"as_is": "as is", "feature_extraction": "feature extraction", "fine_tuning": "fine-tuning"}


def method(kind: str, unfreeze: Any) -> str:
    """Say what an experiment does: `feature extraction`, `fine-tuning: last 10`.

    Args:
        kind: as `results.json` has it.
        unfreeze: as `unfrozen` takes it.
    """
    return f"{_KINDS[kind]}: {unfrozen(unfreeze)}" if kind == "fine_tuning" else _KINDS[kind]


def unfrozen(unfreeze: Any) -> str:
    """Say which layers of the backbone an `unfreeze` setting trains: `last 10`, `from block15`, `none`.

    Args:
        unfreeze: a number of layers, a name, `{"blocks": n}`, several of these for several phases
            (those with a frozen backbone go without saying), or None.
    """
    match unfreeze:
        case None | 0:
            return "none"
        case "all":
            return "all"
        case int():
            return f"last {unfreeze}"
        case {"blocks": 1}:
            return "last block"
        case {"blocks": blocks}:
            return f"last {blocks} blocks"
        case list() | tuple():
            return ", then ".join(unfrozen(each) for each in unfreeze if each)
        case _:
            return f"from {unfreeze}"


def percent(share: float) -> str:
    """A share with one decimal of a percent."""
    return f"{share:.1%}"


def percent_range(low: float, high: float) -> str:
    """Two shares in percent, `82.1-88.0`: without a space, so that no line breaks inside it."""
    return f"{100 * low:.1f}-{100 * high:.1f}"


def p_value(p: float) -> str:
    """A p-value with two digits that count; below 0.0001 it is only said to be."""
    return "<0.0001" if p < 1e-4 else f"{p:.2g}"


def shorten(text: str, width: int) -> str:
    """Keep `text` within `width` characters, putting an ellipsis for its middle."""
    if len(text) <= width:
        return text
    end = (width - 1) // 2
    return f"{text[: width - 1 - end]}…{text[len(text) - end :]}"
