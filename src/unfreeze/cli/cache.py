"""`unfreeze cache`: what the caches hold."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from unfreeze.cli.app import print_json, verb
from unfreeze.cli.screen import screen

if TYPE_CHECKING:
    from unfreeze.data.cache_size import CacheContents

UNITS = ("B", "kB", "MB", "GB", "TB")

ClearOption = Annotated[bool, typer.Option("--clear", help="Delete the caches; not while a run is going on.")]


@verb(example="unfreeze cache")
def cache(clear: ClearOption = False) -> None:
    """Show or empty the caches."""
    from unfreeze.data.cache_folder import cache_folder
    from unfreeze.data.cache_size import cache_contents, clear_cache

    folder = cache_folder()
    freed = clear_cache(folder) if clear else None
    contents = cache_contents(folder)
    if screen.json:
        cleared = {} if freed is None else {"freed": freed}
        print_json({"bytes": contents.bytes, **asdict(contents), **cleared})
        return
    if freed is not None:
        print(f"{_size(freed)} freed in {folder}")
    if freed is None or contents.bytes:
        print(f"{folder} holds {_size(contents.bytes)} of at most {_size(contents.limit)}:")
        _show(contents)


def _show(contents: "CacheContents") -> None:
    lines = {
        "pixels": (contents.pixels, f"{contents.photos:,} decoded photos"),
        "activations": (contents.activations, f"{contents.rows:,} photos and views as frozen layers give them"),
        "engines": (contents.engines, "exported frozen layers and networks"),
        "sources": (contents.sources, "photos that were unpacked or downloaded"),
    }
    for name, (size, content) in lines.items():
        print(f"  {name:<11} {_size(size):>8}  {content}")
    print(
        "When they are full, what was not used for longest goes first, but no sources. "
        "Empty them with `unfreeze cache --clear`."
    )


def _size(count: float) -> str:
    """Write a number of bytes for people, in steps of 1000 as disks are sold."""
    step = 0
    while count >= 999.5 and step < len(UNITS) - 1:
        count, step = count / 1000, step + 1
    return f"{count:.3g} {UNITS[step]}"
