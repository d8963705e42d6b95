"""Results in words: long lists, and names that are no HTML."""

from unfreeze.text import listed, preformatted


def test_lists_are_cut_and_empty_ones_left_out():
    assert listed("Files", []) == []
    assert listed("Files", ["a"]) == ["Files:", "  a"]
    assert listed("Files", ["a"] * 10) == ["Files:", *["  a"] * 10]
    assert listed("Files", ["a"] * 1011)[10:] == ["  a", "  and 1,001 more (all with --json, or in the fields)"]


def test_names_are_no_html():
    assert preformatted("a  <b>\n&") == "<pre>a  &lt;b&gt;\n&amp;</pre>"
