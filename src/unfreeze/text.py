"""Results in words, for a terminal and for a notebook."""

import html
from collections.abc import Sequence

SHOWN = 10
"""Lines of a list; the rest are counted."""


def listed(title: str, lines: Sequence[str]) -> list[str]:
    """Put a title above some lines, or give nothing where there are none."""
    if not lines:
        return []
    more = [f"  and {len(lines) - SHOWN:,} more (all with --json, or in the fields)"] if len(lines) > SHOWN else []
    return [f"{title}:", *(f"  {line}" for line in lines[:SHOWN]), *more]


def preformatted(text: str) -> str:
    """Give text as HTML that keeps its lines and columns."""
    return f"<pre>{html.escape(text)}</pre>"


def error_in_a_line(error: Exception, longest: int = 200) -> str:
    """Say what kind of error came from somebody else's code, and the first so many letters of what it said."""
    return f"{type(error).__name__}: {' '.join(str(error).split())[:longest]}"


def in_a_line(text: str, longest: int = 500) -> str:
    """Bring text of unknown origin into one line that a terminal can show: white space joined, the rest escaped."""
    line = " ".join(text[: 10 * longest].split())
    line = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in line)
    return line if len(line) <= longest else f"{line[:longest]}…"
