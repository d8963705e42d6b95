"""The five models by unfreeze and by plain Keras: same photos, splits, settings and machine, one after the other.

    python benchmarks/series_vs_plain_keras.py --data elpv --repeats 3

Each side runs as a process of its own, and the whole process is timed: imports, reading photos, training, testing,
files. unfreeze starts from an empty cache. Sides take turns, so that a slow spell of the machine hits all of them;
repeat k uses seed k. Written to a JSON file and printed: seconds, ratios (medians), test accuracies.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

HERE = Path(__file__).parent
UNFREEZE = Path(sys.executable).parent / "unfreeze"
MORE = (
    "experiments.more={from: model_2, fraction: 0.1, unfreeze: 20, epochs: 10, learning_rate: 1e-4}"  # one more model
)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--data", default="elpv")
    arguments.add_argument("--backbone", default="efficientnet_lite0")
    arguments.add_argument("--repeats", type=int, default=3)
    arguments.add_argument("--sides", nargs="+", default=["unfreeze", "views_2", "tuned", "out_of_the_box"])
    arguments.add_argument("--out", type=Path, default=Path("series_vs_plain_keras.json"))
    options = arguments.parse_args()

    runs: list[dict] = []
    for repeat in range(options.repeats):
        with tempfile.TemporaryDirectory() as folder:
            work = Path(folder)
            for side in options.sides:
                run = {"side": side, "seed": repeat, **measure(side, options, repeat, work)}
                runs.append(run)
                print(json.dumps(run), flush=True)
                content = {
                    "date": datetime.now(UTC).isoformat(timespec="seconds"),
                    "machine": f"{cpu()}, {os.cpu_count()} cores",
                    "arguments": {key: str(value) for key, value in vars(options).items()},
                    "runs": runs,
                }
                options.out.write_text(json.dumps(content, indent=1))
    report(runs)


def measure(side: str, options: argparse.Namespace, seed: int, work: Path) -> dict:
    """Run one side as a process of its own; plain Keras uses the splits of unfreeze's run before it."""
    environment = {**os.environ, "UNFREEZE_CACHE": str(work / f"cache-{side}"), "TF_CPP_MIN_LOG_LEVEL": "3"}
    out = work / "unfreeze"
    if side in ("unfreeze", "views_2"):
        out = work / side
        command = [UNFREEZE, "run", "food_vision", "--data", options.data, "--out", out, "--quiet"]
        command += ["--set", f"backbone={options.backbone}", "--set", f"seeds=[{seed}]"]
        command += ["--set", "augment.views=2"] if side == "views_2" else []
    else:
        from unfreeze.data.sources import open_source

        environment["TF_ENABLE_ONEDNN_OPTS"] = "1"
        command = [sys.executable, HERE / "plain_keras.py", out, open_source(options.data).root, "--seed", str(seed)]
        if side == "tuned":
            command.append("--tuned")
        else:
            del environment["TF_ENABLE_ONEDNN_OPTS"]
    started = time.perf_counter()
    done = subprocess.run([str(part) for part in command], env=environment, capture_output=True, text=True)
    wall = time.perf_counter() - started
    if done.returncode:
        sys.exit(done.stderr)
    if side in ("unfreeze", "views_2"):
        content = json.loads((out / "results.json").read_text())
        entries = content["experiments"]
        parts = {part: sum(entry["seconds"][part] for entry in entries) for part in entries[0]["seconds"]}
        accuracies = {entry["name"]: entry["test"]["accuracy"] for entry in entries}
        return {"wall": wall, "seconds": parts, "accuracies": accuracies}
    return {"wall": wall, **json.loads(done.stdout.splitlines()[-1])}


def report(runs: list[dict]) -> None:
    """Print medians, ratios and accuracies."""
    sides = list(dict.fromkeys(run["side"] for run in runs))
    median = {side: statistics.median(run["wall"] for run in runs if run["side"] == side) for side in sides}
    print("\nside             seconds (median)   plain Keras tuned / side   out of the box / side")
    for side in sides:
        plain = ("tuned", "out_of_the_box")
        ratios = [f"{median[name] / median[side]:.2f}" if name in median else "-" for name in plain]
        print(f"{side:<16} {median[side]:>16.1f} {ratios[0]:>26} {ratios[1]:>23}")
    print("\ntest accuracy, mean (and each seed)")
    for name in runs[0]["accuracies"]:
        for side in sides:
            values = [run["accuracies"][name] for run in runs if run["side"] == side]
            print(f"{name:<8} {side:<16} {statistics.mean(values):.4f}  ({', '.join(f'{v:.4f}' for v in values)})")


def cpu() -> str:
    """Name the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()


if __name__ == "__main__":
    main()
