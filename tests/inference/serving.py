"""The page's server in a thread, and a client of its API."""

import json
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn

from unfreeze.inference.serve import build_app
from unfreeze.inference.served_run import served_runs


@contextmanager
def serving(runs: Sequence[Path], folder: Path) -> Iterator[str]:
    """Serve runs on a free port of loopback; gives the address."""
    servers: list[uvicorn.Server] = []

    def serve() -> None:  # where no event loop runs, as Playwright's does in the tests' own thread
        app = build_app(served_runs(runs), folder)
        servers.append(uvicorn.Server(uvicorn.Config(app, port=0, log_level="error", timeout_graceful_shutdown=1)))
        servers[0].run()

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    while not (servers and servers[0].started):
        assert thread.is_alive()
        thread.join(0.05)
    [server] = servers
    [[_, port]] = [listening.getsockname() for listening in server.servers[0].sockets]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(20)


def ask(address: str, body: bytes | None = None, **headers: str) -> tuple[int, bytes]:
    """Send a request; gives status and answer."""
    request = urllib.request.Request(address, body, {key.replace("_", "-"): text for key, text in headers.items()})
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def upload(address: str, name: str, data: bytes) -> str:
    """Upload a file as a browser does; gives its path on the server."""
    head = f'--limit\r\nContent-Disposition: form-data; name="files"; filename="{name}"\r\n\r\n'
    body = head.encode() + data + b"\r\n--limit--\r\n"
    status, answer = ask(f"{address}/gradio_api/upload", body, content_type="multipart/form-data; boundary=limit")
    assert status == 200, answer
    return json.loads(answer)[0]


def call(address: str, path: str, model: str) -> tuple[int, Any]:
    """Call the page's `/predict`; gives the status of the call, and what it was answered."""
    photo = {"path": path, "meta": {"_type": "gradio.FileData"}}
    body = json.dumps({"data": [photo, model]}).encode()
    status, answer = ask(f"{address}/gradio_api/call/predict", body, content_type="application/json")
    if status != 200:
        return status, answer
    _, events = ask(f"{address}/gradio_api/call/predict/{json.loads(answer)['event_id']}")
    event, data = events.decode().strip().splitlines()[-2:]
    return 200, (event.removeprefix("event: "), json.loads(data.removeprefix("data: ")))


def predict(address: str, file: Path, model: str) -> Any:
    """Upload a photo and predict it: what `unfreeze predict --json` prints of one."""
    status, (event, data) = call(address, upload(address, file.name, file.read_bytes()), model)
    assert (status, event) == (200, "complete")
    [[prediction]] = data
    return prediction
