"""The web page: a photo and what models say of it, the data set, the worst mistakes, the comparison."""

import html
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from unfreeze.backend import thread_count
from unfreeze.errors import PhotoError, UnfreezeError
from unfreeze.inference.cards import answer_html, sentence_html, shelf_html, table_html
from unfreeze.inference.photo_shelf import PAGE, PhotoShelf, Shelf
from unfreeze.inference.served_run import ServedRun, uploaded
from unfreeze.report.results import load_results
from unfreeze.report.side_by_side import side_by_side
from unfreeze.report.story import story

NOBODY = "(none)"
EVERY_CLASS = "(every class)"
NO_PHOTO = "Give a photo first: drop it, paste it, or take one."
ON_RECORD = "Test photos that are shown here go on record in `test_reads.jsonl`."
NO_MAP = "There is no map of where this model looked: it does not pool a feature map into one dense layer."


def build_page(runs: Sequence[ServedRun], outs: Sequence[Path]) -> gr.Blocks:
    """Lay out the page. Its API has one function, `/predict`.

    Args:
        runs: at least one.
        outs: folders of their series, which the addresses `/report/0` and so on are of.
    """
    by_name = {run.name: run for run in runs}
    shelves = {name: PhotoShelf(run) for name, run in by_name.items()}
    with gr.Blocks(title="unfreeze", analytics_enabled=False, delete_cache=(600, 3600)) as page:
        gr.Markdown("# unfreeze", elem_id="title")
        with gr.Tab("Predict"):
            _predict_tab(by_name)
        with gr.Tab("Photos") as photos:
            _photos_tab(photos, shelves)
        with gr.Tab("Mistakes") as mistakes:
            _mistakes_tab(mistakes, shelves)
        with gr.Tab("Compare") as comparison:
            shown = gr.HTML(elem_id="comparison")
            comparison.select(lambda: _comparison(outs), None, shown, **_PRIVATE)
    page.queue(default_concurrency_limit=thread_count(), max_size=None, api_open=False)
    return page


_PRIVATE: Any = {"api_visibility": "private"}


def _predict_tab(runs: dict[str, ServedRun]) -> None:
    first, *others = runs
    with gr.Row():
        with gr.Column(scale=2, min_width=300):
            photo = gr.Image(
                type="filepath", label="Photo", height=320, sources=["upload", "webcam", "clipboard"], buttons=[],
                elem_id="photo",
            )  # fmt: skip
            model = gr.Dropdown(list(runs), value=first, label="Model", elem_id="model")
            beside = gr.Dropdown(
                [NOBODY, *runs], value=others[0] if others else NOBODY, label="Beside it", elem_id="beside"
            )
        with gr.Column(scale=3, min_width=300), gr.Row(equal_height=False):
            answer = gr.HTML(elem_id="answer", min_width=250)
            answer_beside = gr.HTML(elem_id="answer-beside", min_width=250)
    _as_it_came(photo)

    def ask(file: str | None, *names: str) -> list[str]:
        return [_answer(runs, file, names[0]), "" if names[1] == NOBODY else _answer(runs, file, names[1])]

    gr.on(
        [photo.change, model.change, beside.change], ask, [photo, model, beside], [answer, answer_beside],
        show_progress="minimal", trigger_mode="always_last", **_PRIVATE,
    )  # fmt: skip

    def predict(photo: str | None, model: str) -> list[dict[str, Any]]:
        if photo is None:
            raise gr.Error(NO_PHOTO)
        run = runs[model]
        try:
            return [run.predict(uploaded(Path(photo)), Path(photo).name).to_json()]
        except PhotoError as error:
            return [{"path": Path(photo).name, "top": [], "error": str(error)}]
        except UnfreezeError as error:
            raise gr.Error(str(error)) from error

    gr.Button(visible=False).click(
        predict, [photo, model], gr.JSON(visible=False), api_name="predict",
        api_description="The answer of `unfreeze predict --json` for one photo.",
    )  # fmt: skip


def _as_it_came(photo: gr.Image) -> None:
    """Have a photo's own bytes, as `unfreeze predict` reads them, and never a file from another address."""
    component: Any = photo

    async def refuse(place: str | Path | None) -> str | None:
        if place is not None and "://" in str(place):
            raise gr.Error("Upload the photo.")
        return None if place is None else str(place)

    component.preprocess = lambda payload: None if payload is None else payload.path
    component.async_move_resource_to_block_cache = refuse


def _answer(runs: dict[str, ServedRun], file: str | None, name: str) -> str:
    if file is None:
        return ""
    try:
        return answer_html(name, runs[name].look(uploaded(Path(file))), NO_MAP)
    except PhotoError as error:
        return sentence_html(f"This file {error}.")
    except UnfreezeError as error:
        return sentence_html(str(error))


def _photos_tab(tab: gr.Tab, shelves: dict[str, PhotoShelf]) -> None:
    first = next(iter(shelves))
    splits = shelves[first].splits()
    split_now = _first_shown(splits)
    with gr.Row():
        model = gr.Dropdown(list(shelves), value=first, label="Model", elem_id="data-model")
        split = gr.Dropdown(splits, value=split_now, label="Split", elem_id="split")
        labels = [EVERY_CLASS, *(shelves[first].classes(split_now) if split_now else [])]
        label = gr.Dropdown(labels, value=EVERY_CLASS, label="Class", elem_id="class")
    number = gr.State(0)
    draw = gr.Button("Random photos", variant="primary")
    with gr.Row():
        back, on = gr.Button("Previous", min_width=100), gr.Button("Next", min_width=100)
    shown = gr.HTML(elem_id="shelf")
    gr.Markdown(ON_RECORD)

    def turn(by: int | None) -> Callable[..., tuple[str, int]]:
        def shelf(name: str, split: str | None, label: str, number: int) -> tuple[str, int]:
            wanted = None if label == EVERY_CLASS else label
            return _shelf(lambda: shelves[name].page(split or "", wanted, 0 if by is None else number + by), number)

        return shelf

    def random(name: str, split: str | None, label: str) -> str:
        wanted = None if label == EVERY_CLASS else label
        return _shelf(lambda: shelves[name].random(split or "", wanted), 0, drawn=True)[0]

    def choices(name: str, split: str | None, label: str) -> tuple[Any, Any]:
        splits = shelves[name].splits()
        split = split if split in splits else _first_shown(splits)
        labels = [EVERY_CLASS, *(shelves[name].classes(split) if split else [])]
        label = label if label in labels else EVERY_CLASS
        return gr.update(choices=splits, value=split), gr.update(choices=labels, value=label)

    asked = [model, split, label]
    for event in (model.input, split.input):
        event(choices, asked, [split, label], **_PRIVATE).then(
            turn(None), [*asked, number], [shown, number], **_PRIVATE
        )
    label.input(turn(None), [*asked, number], [shown, number], **_PRIVATE)
    tab.select(turn(None), [*asked, number], [shown, number], **_PRIVATE)
    draw.click(random, asked, shown, **_PRIVATE)
    back.click(turn(-1), [*asked, number], [shown, number], **_PRIVATE)
    on.click(turn(1), [*asked, number], [shown, number], **_PRIVATE)


def _mistakes_tab(tab: gr.Tab, shelves: dict[str, PhotoShelf]) -> None:
    model = gr.Dropdown(list(shelves), value=next(iter(shelves)), label="Model", elem_id="mistakes-model")
    with gr.Row():
        back, on = gr.Button("Previous", min_width=100), gr.Button("Next", min_width=100)
    number = gr.State(0)
    shown = gr.HTML(elem_id="mistakes")
    gr.Markdown(f"The surest mistakes come first. {ON_RECORD}")

    def turn(by: int | None) -> Callable[..., tuple[str, int]]:
        return lambda name, number: _shelf(
            lambda: shelves[name].mistakes(0 if by is None else number + by), number, none="No mistake to see."
        )

    for event, by in ((tab.select, None), (model.input, None), (back.click, -1), (on.click, 1)):
        event(turn(by), [model, number], [shown, number], **_PRIVATE)


def _first_shown(splits: Sequence[str]) -> str | None:
    """Choose validation photos if there are any, so that nobody looks at test photos unasked."""
    return next((split for split in ("val", "train", "test") if split in splits), None)


def _shelf(get: Callable[[], Shelf], number: int, drawn: bool = False, none: str = "") -> tuple[str, int]:
    try:
        shelf = get()
    except UnfreezeError as error:
        return sentence_html(str(error)), number
    if none and not shelf.photos:
        return sentence_html(none), 0
    return shelf_html(shelf, PAGE, drawn), shelf.page


def _comparison(outs: Sequence[Path]) -> str:
    parts = []
    for number, out in enumerate(outs):
        title = f"<h2>{html.escape(out.name)}</h2>"
        try:
            compared = side_by_side(load_results(out))
            parts.append(title + table_html(compared._repr_html_(), story(compared), _link(out, number)))
        except UnfreezeError as error:
            parts.append(title + sentence_html(str(error)))
    return "".join(parts)


def _link(out: Path, number: int) -> str:
    if (out / "report.html").is_file():
        return f'<a href="report/{number}" target="_blank" rel="noopener">Open the report</a>'
    return "There is no report.html; `unfreeze compare` writes it."
