"""What the web page shows of photos, as HTML: everything that comes from outside is escaped."""

import html
from collections.abc import Sequence

import numpy as np

from unfreeze.inference.photo_shelf import Judgement, Shelf
from unfreeze.inference.served_run import Look
from unfreeze.report.style import GREEN, RED
from unfreeze.report.thumbnails import as_jpeg, jpeg_address

_QUALITY = 88

CSS = f"""
.gradio-container {{max-width: 1100px !important; width: 100% !important;
  margin: 0 auto !important}}
.tab-container button {{padding-inline: .65rem}}
#title {{margin-bottom: 0}}
.uf-answer h3 {{margin: 0 0 .5rem; overflow-wrap: anywhere}}
.uf-pictures {{display: flex; gap: .5rem}}
.uf-pictures figure {{flex: 1 1 0; min-width: 0; margin: 0}}
.uf-pictures img {{width: 100%; border-radius: 6px; display: block}}
.uf-pictures figcaption, .uf-note {{font-size: .8rem; opacity: .75; overflow-wrap: anywhere}}
.uf-bars {{margin: .75rem 0 0; padding: 0; list-style: none}}
.uf-bars li {{position: relative; display: flex; justify-content: space-between; gap: .4rem; margin: 0 0 .3rem;
  padding: .25rem .5rem; border-radius: 6px; background: var(--background-fill-secondary); overflow: hidden}}
.uf-bars li::before {{content: ""; position: absolute; inset: 0 auto 0 0; width: calc(100% * var(--share));
  background: #0072B2; opacity: .25}}
.uf-bars span {{position: relative; overflow-wrap: anywhere}}
.uf-bars span:last-child {{white-space: nowrap}}
.uf-grid {{display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 300px), 1fr)); gap: 1rem}}
.uf-card {{border: 1px solid var(--border-color-primary); border-top: 4px solid var(--verdict); border-radius: 8px;
  padding: .6rem; min-width: 0}}
.uf-card p {{margin: .4rem 0 0; overflow-wrap: anywhere}}
.uf-sentence {{padding: .75rem 1rem; border-left: 4px solid {RED}; background: var(--background-fill-secondary)}}
.uf-table {{overflow-x: auto; max-width: calc(100vw - 6rem)}}
.uf-table table {{border-collapse: collapse; white-space: nowrap; border: 0 !important}}
.uf-table tr, .uf-table tbody {{border: 0 !important}}
.uf-table th, .uf-table td {{padding: .3rem .7rem; text-align: left; border: 0 !important;
  border-bottom: 1px solid var(--border-color-primary) !important}}
.uf-table p {{font-size: .85rem; opacity: .8}}
"""


def answer_html(name: str, look: Look, no_overlay: str) -> str:
    """Show what one model says of an uploaded photo.

    Args:
        name: of the model.
        look: its answer.
        no_overlay: why there is no map of where it looked, for when there is none.
    """
    best = html.escape(look.top[0][0])
    bars = "".join(
        f'<li style="--share: {probability:.4f}"><span>{html.escape(title)}</span><span>{probability:.1%}</span></li>'
        for title, probability in look.top
    )
    if look.overlay is None:
        picture = f"{_figure(look.photo, 'the photo')}", f'<p class="uf-note">{html.escape(no_overlay)}</p>'
    else:
        picture = _figure(look.overlay, f"Where the model looked: what is red speaks for {best}"), ""
    return (
        f'<div class="uf-answer"><h3>{html.escape(name)}</h3><div class="uf-pictures">{picture[0]}</div>'
        f'{picture[1]}<ol class="uf-bars">{bars}</ol></div>'
    )


def shelf_html(shelf: Shelf, per_page: int, drawn: bool = False) -> str:
    """Show photos of the data set, each with the model's answer.

    Args:
        shelf: the photos.
        per_page: photos a page.
        drawn: whether they were drawn at random.
    """
    if not shelf.photos:
        return sentence_html("There is none.")
    first = shelf.page * per_page
    where = (
        f"{len(shelf.photos)} of {shelf.total:,} photos, drawn at random"
        if drawn
        else f"{first + 1:,} to {first + len(shelf.photos):,} of {shelf.total:,} photos"
    )
    cards = "".join(map(_card, shelf.photos))
    return f'<p class="uf-note">{where}</p><div class="uf-grid">{cards}</div>'


def sentence_html(sentence: str) -> str:
    """Show a sentence where there is nothing else to show."""
    return f'<div class="uf-sentence" role="alert">{html.escape(sentence)}</div>'


def table_html(tables: str, sentences: Sequence[str], link: str) -> str:
    """Show a comparison.

    Args:
        tables: HTML.
        sentences: how it went.
        link: HTML that leads to the report.
    """
    said = "".join(f"<li>{html.escape(sentence)}</li>" for sentence in sentences)
    return f'<p>{link}</p><div class="uf-table">{tables}</div><h3>How did it go?</h3><ul>{said}</ul>'


def _card(photo: Judgement) -> str:
    path = f'<p class="uf-note">{html.escape(photo.path)}</p>'
    if photo.look is None:
        return f'<div class="uf-card" style="--verdict: {RED}"><p>{html.escape(photo.error)}</p>{path}</div>'
    (predicted, probability), *_ = photo.look.top
    colour, mark = (GREEN, "✓ right") if photo.is_right else (RED, "✗ wrong")
    truth = "" if photo.is_right else f", is <b>{html.escape(photo.label)}</b>"
    pictures = _figure(photo.look.photo, "")
    if photo.look.overlay is not None:
        pictures += _figure(photo.look.overlay, "")
    return (
        f'<div class="uf-card" style="--verdict: {colour}"><div class="uf-pictures">{pictures}</div>'
        f"<p>{mark}: <b>{html.escape(predicted)}</b> {probability:.1%}{truth}</p>{path}</div>"
    )


def _figure(pixels: np.ndarray, caption: str) -> str:
    address = jpeg_address(as_jpeg(pixels, _QUALITY))
    below = f"<figcaption>{caption}</figcaption>" if caption else ""
    return f'<figure><img src="{address}" alt="">{below}</figure>'
