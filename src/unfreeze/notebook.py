"""How results show in a notebook."""

import html


def preformatted(text: str) -> str:
    """Give text as HTML that keeps its lines and columns."""
    return f"<pre>{html.escape(text)}</pre>"
