"""Many clients at once on the page of `unfreeze serve`: is every request answered, and just as by `unfreeze predict`?

python benchmarks/serve_clients.py RUN PHOTOS [--clients 20] [--seconds 60]
"""

import argparse
import json
import statistics
import subprocess
import sys
import threading
import time
import urllib.request
import uuid
from pathlib import Path

import unfreeze


def post(address: str, body: bytes, content_type: str) -> bytes:
    request = urllib.request.Request(address, body, {"content-type": content_type})
    with urllib.request.urlopen(request, timeout=300) as answer:
        return answer.read()


def predict(address: str, file: Path, model: str) -> dict[str, float]:
    """Upload a photo, ask, and read the answer: probabilities of the likeliest classes."""
    limit = uuid.uuid4().hex
    head = f'--{limit}\r\nContent-Disposition: form-data; name="files"; filename="{file.name}"\r\n\r\n'
    form = head.encode() + file.read_bytes() + f"\r\n--{limit}--\r\n".encode()
    [path] = json.loads(post(f"{address}/gradio_api/upload", form, f"multipart/form-data; boundary={limit}"))
    asked = {"data": [{"path": path, "meta": {"_type": "gradio.FileData"}}, model]}
    called = json.loads(post(f"{address}/gradio_api/call/predict", json.dumps(asked).encode(), "application/json"))
    with urllib.request.urlopen(f"{address}/gradio_api/call/predict/{called['event_id']}", timeout=300) as answer:
        *_, data = answer.read().decode().strip().splitlines()
    [[prediction]] = json.loads(data.removeprefix("data: "))
    return {top["class"]: top["probability"] for top in prediction["top"]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("photos", type=Path)
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=60)
    arguments = parser.parse_args()

    expected = {Path(each.path): dict(each.top) for each in unfreeze.load(arguments.run).predict(arguments.photos)}
    files = sorted(expected)
    command = [sys.executable, "-c", "from unfreeze.cli import main; main()", "serve", str(arguments.run), "--json"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert server.stdout
    text = ""
    while "}" not in text:
        text += server.stdout.readline()
    address, model = json.loads(text)["address"], arguments.run.resolve().parent.name

    took, lost, differences = [], [], []
    end = time.monotonic() + arguments.seconds

    def client(number: int) -> None:
        while time.monotonic() < end:
            file, started = files[(number * 7919 + len(took)) % len(files)], time.monotonic()
            try:
                answer = predict(address, file, model)
                differences.append(max(abs(answer[name] - value) for name, value in expected[file].items()))
                took.append(time.monotonic() - started)
            except Exception as error:
                lost.append(repr(error))

    clients = [threading.Thread(target=client, args=(number,)) for number in range(arguments.clients)]
    for each in clients:
        each.start()
    for each in clients:
        each.join()
    server.terminate()
    server.wait()
    print(f"{len(took):,} answered, {len(lost)} lost {lost[:3]}; {len(took) / arguments.seconds:.0f} a second")
    print(
        f"seconds: median {statistics.median(took):.2f}, slowest {max(took):.2f}; probabilities: {max(differences):.1e}"
    )


if __name__ == "__main__":
    main()
