"""Names in any script come out as they are."""

from matplotlib.text import Text

from unfreeze.report.style import BLUE, GREEN, GREY, INK, RED, Picture, font_families, literally


def test_dollar_signs_are_no_mathematics():
    picture = Picture(5, 1, literally("$5 menu$ x_1"))
    picture.canvas.draw()
    (title,) = [text for text in picture.findobj(Text) if "menu" in text.get_text()]
    literal = Picture(5, 1, "")
    expected = literal.text(0, 0, "$5 menu$ x_1", fontsize=title.get_fontsize(), parse_math=False)
    literal.canvas.draw()
    assert title.get_window_extent().width == expected.get_window_extent().width


def test_letters_that_no_font_has_do_not_warn(recwarn):
    picture = Picture(5, 1, "寿司 한국 ✓")
    picture.canvas.draw()
    assert not recwarn.list
    assert font_families()[0] == "DejaVu Sans"


def test_long_titles_are_wrapped_inside():
    picture = Picture(5, 1, "word " * 40, "smaller " * 40)
    picture.canvas.draw()
    boxes = [text.get_window_extent() for text in picture.texts]
    assert len(boxes) > 4
    assert all(box.x1 <= picture.bbox.x1 for box in boxes)
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])


def test_text_colours_can_be_read_on_white():
    """Contrast of at least 4.5, as WCAG 2.2's success criterion 1.4.3 asks for."""

    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    for colour in (BLUE, GREEN, RED, GREY, INK):
        assert 1.05 / (luminance(colour) + 0.05) >= 4.5, colour
