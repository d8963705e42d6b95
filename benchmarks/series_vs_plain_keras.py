"""The five models by unfreeze and by plain Keras: same photos, splits, settings and machine, one after the other.

    python benchmarks/series_vs_plain_keras.py --data elpv --repeats 3

The plain Keras is the script that `unfreeze eject` writes of the same recipe. Each side runs as a process of its own,
and the whole process is timed: imports, reading photos, training, testing, files. unfreeze starts from an empty cache.
Two more sides train one more experiment when the series is there: unfreeze with its activations cached, plain Keras
from the weights that its series left. Sides take turns, so that a slow spell of the machine hits all of them; repeat k
uses seed k. Written to a JSON file and printed: seconds, ratios (medians), test accuracies.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

UNFREEZE = Path(sys.executable).parent / "unfreeze"
MODELS = [f"model_{number}" for number in range(5)]
MORE = "experiments.more={from: model_2, fraction: 0.1, unfreeze: 20, epochs: 10, learning_rate: 1e-4}"
SIDES = ("unfreeze", "views_2", "tuned", "out_of_the_box", "more_cached", "more_tuned")
AFTER = {"more_cached": "unfreeze", "more_tuned": "tuned"}
"""Side -> the side whose series it goes on from, in the same repeat."""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--data", default="elpv")
    arguments.add_argument("--backbone", default="efficientnet_lite0")
    arguments.add_argument("--repeats", type=int, default=3)
    arguments.add_argument("--sides", nargs="+", choices=SIDES, default=SIDES)
    arguments.add_argument("--out", type=Path, default=Path("series_vs_plain_keras.json"))
    arguments.add_argument("--set", action="append", default=[], help="change a setting of the recipe, on all sides")
    options = arguments.parse_args()
    for side, series in AFTER.items():
        if side in options.sides and series not in options.sides[: options.sides.index(side)]:
            arguments.error(f"{side} goes on from {series}: name that before it")

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
    """Run one side as a process of its own, in its folder of the same name."""
    settings = [f"backbone={options.backbone}", f"seeds=[{seed}]", *options.set]
    settings += ["augment.views=2"] if side == "views_2" else []
    settings += [MORE] if side in AFTER else []
    recipe = ["food_vision", "--data", options.data, "--quiet"]
    recipe += [part for setting in settings for part in ("--set", setting)]
    recipe += [part for name in (["more"] if side in AFTER else MODELS) for part in ("--only", name)]
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    environment["UNFREEZE_CACHE"] = str(work / f"cache-{AFTER.get(side, side)}")
    folder = work / side

    if side in ("unfreeze", "views_2", "more_cached"):
        if side == "more_cached":
            for out in (work / "more_first", folder):
                shutil.copytree(work / "unfreeze", out)
            timed([UNFREEZE, "run", *recipe, "--out", work / "more_first"], environment)  # fills the cache
        wall = timed([UNFREEZE, "run", *recipe, "--out", folder], environment)
        entries = json.loads((folder / "results.json").read_text())["experiments"]
        entries = [entry for entry in entries if side != "more_cached" or entry["name"] == "more"]
        seconds = {part: sum(entry["seconds"][part] for entry in entries) for part in entries[0]["seconds"]}
        accuracies = {entry["name"]: entry["test"]["accuracy"] for entry in entries}
    else:
        script = work / AFTER.get(side, side) / f"{side}.py"
        timed([UNFREEZE, "eject", *recipe, "--out", script], environment)
        environment |= {"TUNED": "0"} if side == "out_of_the_box" else {"TUNED": "1", "TF_ENABLE_ONEDNN_OPTS": "1"}
        wall = timed([sys.executable, script], environment)
        results = json.loads((script.parent / "results.json").read_text())
        seconds, accuracies = results["seconds"], results["accuracies"]
    return {"wall": wall, "seconds": seconds, "accuracies": accuracies}


def timed(command: list, environment: dict[str, str]) -> float:
    """Run a command and give its seconds."""
    started = time.perf_counter()
    done = subprocess.run([str(part) for part in command], env=environment, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    return time.perf_counter() - started


def report(runs: list[dict]) -> None:
    """Print medians, ratios and accuracies."""
    sides = list(dict.fromkeys(run["side"] for run in runs))
    median = {side: statistics.median(run["wall"] for run in runs if run["side"] == side) for side in sides}
    print("\nside             seconds (median)   plain Keras tuned / side   out of the box / side")
    for side in sides:
        plain = ("more_tuned", "") if side in AFTER else ("tuned", "out_of_the_box")
        ratios = [f"{median[name] / median[side]:.2f}" if name in median else "-" for name in plain]
        print(f"{side:<16} {median[side]:>16.1f} {ratios[0]:>26} {ratios[1]:>23}")
    print("\ntest accuracy, mean (and each seed)")
    for name in dict.fromkeys(name for run in runs for name in run["accuracies"]):
        for side in sides:
            values = [run["accuracies"][name] for run in runs if run["side"] == side and name in run["accuracies"]]
            if values:
                each = ", ".join(f"{value:.4f}" for value in values)
                print(f"{name:<8} {side:<16} {statistics.mean(values):.4f}  ({each})")


def cpu() -> str:
    """Name the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()


if __name__ == "__main__":
    main()
