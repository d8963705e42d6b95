"""The web page's server: on loopback unless told otherwise, and without a call to any other machine."""

import asyncio
import importlib.util
import os
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unfreeze.errors import RunError, UnfreezeError
from unfreeze.limits import UPLOAD_LIMIT

if TYPE_CHECKING:
    from unfreeze.inference.served_run import ServedRun

LOOPBACK = "127.0.0.1"
FIRST_PORT, PORTS_TRIED = 7860, 20
LAST_WORDS = 1
"""Seconds that open connections have when the server ends."""

_HEADERS = [
    (b"content-security-policy", b"default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; frame-ancestors *"),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
]


def serve(
    runs: Sequence[str | Path], host: str = LOOPBACK, port: int | None = None, say: Callable[[str], None] = print
) -> None:
    """Serve finished runs as a web page until the process is stopped.

    Args:
        runs: RUN folders, `OUT/experiments/NAME/seed-K`, or folders above them, which stand for all runs below.
        host: address to listen on; 0.0.0.0 for every one of this machine.
        port: to listen on; None takes the first free one from 7860 on.
        say: is given the page's address when it can be opened.

    Raises:
        RunError: Gradio is missing, there is no finished run, or the address can't be had.
    """
    _ensure_gradio()
    from unfreeze.inference.served_run import served_runs

    opened = served_runs(runs)
    with _listening(host, port) as listening, tempfile.TemporaryDirectory(prefix="unfreeze-page-") as folder:
        app = build_app(opened, Path(folder), host)
        import uvicorn

        settings = uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=LAST_WORDS)
        threading.Thread(target=_prepare, args=(opened,), daemon=True).start()
        say(f"http://{_shown(host)}:{listening.getsockname()[1]}")
        uvicorn.Server(settings).run(sockets=[listening])


def build_app(runs: "Sequence[ServedRun]", folder: Path, host: str = LOOPBACK) -> Any:
    """Build the page's server as an ASGI application.

    Args:
        runs: at least one.
        folder: for uploads; nothing outside it can be read.
        host: address that the server listens on; on loopback it answers to no other name, so that no web page
            elsewhere can talk to it by having its own name point here.
    """
    return asyncio.run(_built(runs, folder, host))  # where no loop runs, Gradio makes one and leaves it open


async def _built(runs: "Sequence[ServedRun]", folder: Path, host: str) -> Any:
    # Gradio reads these when it is imported
    os.environ.update(GRADIO_ANALYTICS_ENABLED="False", GRADIO_TEMP_DIR=str(folder), HF_HUB_DISABLE_TELEMETRY="1")
    import gradio as gr
    from fastapi import FastAPI
    from fastapi.responses import FileResponse, JSONResponse
    from gradio.themes import Default
    from starlette.middleware.trustedhost import TrustedHostMiddleware

    from unfreeze.inference.cards import CSS
    from unfreeze.inference.gate import Gate
    from unfreeze.inference.page import build_page

    outs = list(dict.fromkeys(run.own.out for run in runs))
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/report/{number}")
    def report(number: int) -> Any:
        file = outs[number] / "report.html" if 0 <= number < len(outs) else None
        if file is None or not file.is_file():
            return JSONResponse({"detail": "There is no such report."}, status_code=404)
        return FileResponse(file, media_type="text/html")

    page = build_page(runs, outs)
    page.has_launched = True  # or Gradio copies any file that a client names
    theme = Default(font=["system-ui", "sans-serif"], font_mono=["ui-monospace", "monospace"], primary_hue="blue")
    gr.mount_gradio_app(
        app, page, path="/", footer_links=[], run_history=False, show_error=True, max_file_size=UPLOAD_LIMIT,
        ssr_mode=False, enable_monitoring=False, pwa=False, mcp_server=False, theme=theme, css=CSS,
    )  # fmt: skip
    gate: Any = Gate(app, folder)
    if host in (LOOPBACK, "localhost"):
        gate = TrustedHostMiddleware(gate, allowed_hosts=[LOOPBACK, "localhost"])
    return _with_headers(gate)


def _ensure_gradio() -> None:
    if not importlib.util.find_spec("gradio"):
        raise RunError("The page needs Gradio, which is not installed: pip install 'unfreeze[serve]'.")


@contextmanager
def _listening(host: str, port: int | None) -> Iterator[socket.socket]:
    """Listen on an address, before anything that takes long."""
    tried = range(FIRST_PORT, FIRST_PORT + PORTS_TRIED) if port is None else [port]
    failure: OSError | None = None
    for each in tried:
        try:
            listening = socket.create_server((host, each), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
        except (OSError, OverflowError) as error:
            failure = error if isinstance(error, OSError) else OSError(str(error))
            continue
        with listening:
            yield listening
        return
    raise RunError(
        f"The page can't listen on {host}, port {port or f'{tried[0]} to {tried[-1]}'} "
        f"({failure.strerror or failure if failure else ''}). Name another one with --port."
    )


def _prepare(runs: "Sequence[ServedRun]") -> None:
    for run in runs:
        with suppress(UnfreezeError):  # whoever asks this model for something is told
            run.prepare()


def _shown(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _with_headers(app: Any) -> Any:
    """Have every answer say that a browser must load nothing from elsewhere."""

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        async def sending(message: Any) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", []), *_HEADERS]}
            await send(message)

        await app(scope, receive, sending)

    return answer
