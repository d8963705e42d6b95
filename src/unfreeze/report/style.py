"""How every picture looks: colours, sizes, fonts, and the figure that they are drawn on.

Nothing here touches pyplot or matplotlib's global settings, so pictures can be drawn in any thread.
"""

import functools
import io
import textwrap
from pathlib import Path
from typing import IO

from matplotlib import font_manager
from matplotlib.axes import Axes
from matplotlib.backend_bases import RendererBase
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter

# M. Okabe and K. Ito, "Color universal design" (2008): told apart with any kind of colour vision
BLUE = "#0072B2"
ORANGE = "#D55E00"
GREEN, RED = "#00795A", "#B83F00"  # their bluish green and vermillion, darkened to be read as text on white
GREY = "#5F6B76"
PALE = "#D5DBE1"
INK = "#1F2933"

MARKS = {"as_is": (GREY, "s"), "feature_extraction": (BLUE, "o"), "fine_tuning": (ORANGE, "D")}
"""Colour and marker of each kind of experiment."""

TITLE, TEXT, SMALL = 14, 10, 9
"""Font sizes in points."""

_LINE_SPACING = 1.35
_DPI = 110

# matplotlib's own font has no Chinese, Japanese or Korean; these are what systems bring along.
# The last one, matplotlib's too, has a sign for every letter that all others lack.
_FONTS = (
    *("DejaVu Sans", "Noto Sans CJK JP", "Noto Sans CJK SC", "WenQuanYi Micro Hei", "NanumGothic"),
    *("Hiragino Sans", "PingFang SC", "Apple SD Gothic Neo", "Yu Gothic", "Microsoft YaHei", "Malgun Gothic"),
    "Last Resort High-Efficiency",
)


class Picture(Figure):
    """A figure without a window, with what it says on top; a notebook shows it."""

    def __init__(self, width: float, height: float, title: str, subtitle: str = "") -> None:
        """Make an empty one.

        Args:
            width: of the whole, in inches.
            height: of what is below the title, in inches.
            title: what the picture says.
            subtitle: what one needs to know to read it.
        """
        lines = [
            *((line, TITLE, INK) for line in _wrapped(title, width, TITLE)),
            *((line, SMALL, GREY) for line in _wrapped(subtitle, width, SMALL)),
        ]
        heading = sum(size * _LINE_SPACING for _, size, _ in lines) / 72 + 0.2
        total = height + heading
        layout = ConstrainedLayoutEngine(rect=(0, 0, 1, height / total))
        super().__init__(figsize=(width, total), dpi=_DPI, facecolor="white", layout=layout)
        self._canvas = FigureCanvasAgg(self)
        y = 0.1
        for line, size, colour in lines:
            self.text(0.1 / width, 1 - y / total, line, fontsize=size, color=colour, va="top")
            y += size * _LINE_SPACING / 72

    def draw(self, renderer: RendererBase) -> None:
        """Draw it all, names in any script included."""
        for text in self.findobj(Text):
            text.set_fontfamily(font_families())
        super().draw(renderer)

    def write_png(self, file: Path | IO[bytes]) -> None:
        """Write it as PNG. `savefig` would lay it out twice."""
        self._canvas.print_png(file)

    def png(self) -> bytes:
        """Give it as the content of a PNG file."""
        file = io.BytesIO()
        self.write_png(file)
        return file.getvalue()

    def _repr_png_(self) -> bytes:
        return self.png()


def _wrapped(text: str, inches: float, size: float) -> list[str]:
    letter = 0.57 * size / 72  # the usual width of one, in inches
    return textwrap.wrap(text, int((inches - 0.2) / letter))


@functools.cache
def font_families() -> list[str]:
    """Fonts to look for a letter in, one after the other: of those that this system has."""
    installed = set(font_manager.get_font_names())
    return [font for font in _FONTS if font in installed]


def literally(name: str) -> str:
    """Keep matplotlib from reading dollar signs in somebody's name as mathematics."""
    return name.replace("$", r"\$")


def share_formatter() -> FuncFormatter:
    """Axis labels for shares, in percent, with no more decimals than they need."""
    return FuncFormatter(lambda share, _: f"{100 * share:.4g}%")


def tidy(axes: Axes) -> None:
    """Take away what carries no information from a pair of axes, and make labels readable."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(PALE)
    axes.tick_params(length=3, color=PALE, labelcolor=INK, labelsize=TEXT, labelfontfamily=font_families())
    axes.set_axisbelow(True)
