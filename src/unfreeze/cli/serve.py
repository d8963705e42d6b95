"""`unfreeze serve`: the web page."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from unfreeze.cli.app import print_json, verb
from unfreeze.cli.screen import screen


@verb(example="unfreeze serve runs/demo/experiments/model_2/seed-0 runs/demo/experiments/model_4/seed-0")
def serve(
    runs: Annotated[
        list[Path],
        typer.Argument(
            metavar="RUN...", help="Runs: OUT/experiments/NAME/seed-K; a folder above them stands for all below."
        ),
    ],
    host: Annotated[str, typer.Option("--host", metavar="H", help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int | None,
        typer.Option("--port", metavar="P", min=1, max=65535, help="Port [default: the first free one from 7860 on]."),
    ] = None,
) -> None:
    """Serve runs as a web page: photos, what models say of them and where they looked."""
    from unfreeze.inference.serve import serve as serve_page

    def say(address: str) -> None:
        if screen.json:
            print_json({"address": address})
            screen.stdout.flush()
        else:
            print(f"The page: {address}  (Ctrl+C ends it)", flush=True)
        if not address.startswith(("http://127.", "http://localhost", "http://[::1]")):
            print("Everybody who can reach this machine can use the page.", file=sys.stderr)

    serve_page(runs, host, port, say)
