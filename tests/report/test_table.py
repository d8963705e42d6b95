"""The comparison in words: what a pipe gets, and what a narrow terminal shows."""

import io
import re

from made_series import Made
from rich.console import Console

from unfreeze.report.side_by_side import side_by_side
from unfreeze.report.table import comparison_html, comparison_table, html_table, pairs_table, plain_pairs, plain_table


def shown(results, width: int) -> str:
    console = Console(width=width, file=io.StringIO(), force_terminal=False)
    console.print(comparison_table(results))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


FIVE = (
    Made("as_is", right=310, kind="as_is", unfreeze=None, train_images=None, val_loss=None, seconds=3.25),
    Made("model_0", right=854),
    Made("model_3", right=850, parent="model_0", unfreeze=10),
    Made("model_4", right=916, parent="model_0", unfreeze={"blocks": 2}, train_images=6375, seconds=3456.2),
)


def test_plain_text(make_series):
    # the intervals were worked out with Wilson's formula; each mistake costs -ln(1e-7) = 16.118
    assert plain_table(make_series(*FIVE, n=1000)) == "\n".join(
        [
            "experiment  method                      photos  epochs  test accuracy      macro F1    loss  seconds",
            "as_is       as is                            0       0  31.0% (28.2-33.9)     0.310  11.121      3.2",
            "model_0     feature extraction             750       3  85.4% (83.1-87.5)     0.854   2.353       33",
            "model_3     fine-tuning: last 10           750       3  85.0% (82.7-87.1)     0.850   2.418       33",
            "model_4     fine-tuning: last 2 blocks   6,375       3  91.6% (89.7-93.2)     0.916   1.354    3,456",
            "",
            "accuracy, macro F1, loss: on 1,000 test photos; in brackets the 95% Wilson interval",
            "photos: trained on; another 112 chose the best epoch (validation)",
        ]
    )


def test_several_seeds(make_series):
    results = make_series(Made("a", right=7), Made("a", right=8, seed=1), Made("a", right=9, seed=2))
    text = plain_table(results)
    assert "80.0% ± 10.0 (40.3-100.0)" in text  # worked out in test_summary.py
    assert "figures are means over seeds" in text
    assert len([line for line in text.splitlines() if line.startswith("a ")]) == 1


def test_a_test_set_not_read_and_one_that_validated(make_series):
    assert "test not read" in plain_table(make_series(Made("a", tested=False), validation="test", val=10))


def test_validating_on_the_test_photos_is_said(make_series):
    text = plain_table(make_series(Made("a"), validation="test", val=10))
    assert "validated on the test photos themselves, so the test figures are too good" in text
    assert "another 10 chose" not in text


def test_a_terminal_of_80_columns_shows_everything(make_series):
    text = shown(make_series(*FIVE, n=1000), width=80)
    assert max(len(line) for line in text.splitlines()) <= 80
    assert "…" not in text
    for word in ("model_4", "extraction", "6,375", "91.6%", "(89.7-93.2)", "0.916", "1.354", "3,456"):
        assert word in text


def test_a_wide_terminal_has_one_line_an_experiment(make_series):
    assert "91.6% (89.7-93.2)     0.916" in shown(make_series(*FIVE, n=1000), width=110)


def test_names_are_no_markup(make_series):
    results = make_series(Made("a[bold]b[/bold]"))
    assert "a[bold]b[/bold]" in shown(results, width=110)


def test_wide_letters_keep_columns_aligned(make_series):
    lines = plain_table(make_series(Made("寿司"), Made("sushi"))).splitlines()
    assert lines[1].index("feature") == lines[2].index("feature") - 2  # two letters, each two columns wide


def test_a_notebook_shows_the_same_words(make_series):
    results = make_series(*FIVE[1:], Made("<b>"), n=1000)
    text = html_table(results)
    assert results._repr_html_() == text
    cells = re.findall("<t[hd]>(.*?)</t[hd]>", text)
    table, notes = plain_table(results).split("\n\n")
    assert " ".join(cells).replace("&lt;b&gt;", "<b>").split() == table.split()
    assert text.endswith(f"</table><p>{notes.replace(chr(10), '<br>')}</p>")
    assert "<b>" not in text


def test_pairs(make_series):
    comparison = side_by_side(make_series(*FIVE, n=1000))
    lines = plain_pairs(comparison).splitlines()
    assert lines[0].split() == ["experiment", "against", "verdict", "points", "smallest", "McNemar", "Holm"]
    assert [line.split()[:2] for line in lines[1:7]] == [
        ["model_0", "as_is"],
        ["model_3", "as_is"],
        ["model_4", "as_is"],
        ["model_3", "model_0"],
        ["model_4", "model_0"],
        ["model_4", "model_3"],
    ]
    # 4 photos lost of 1,000 and none won: 2 / 2^4, and no other p-value is larger
    assert re.search(r"model_3 +model_0 +within noise +-0.4 \(.*\) +0.\d +0.12 +0.12$", lines[4])
    assert re.search(r"model_4 +model_0 +better +\+6.2 \(.*\) +\d.\d +<0.0001 +<0.0001$", lines[5])
    console = Console(width=80, file=io.StringIO(), force_terminal=False)
    console.print(pairs_table(comparison))
    assert max(len(line) for line in console.file.getvalue().splitlines()) <= 80
    text = comparison_html(comparison)
    assert comparison._repr_html_() == text
    assert text.count("<table>") == 2
