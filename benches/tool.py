"""Measures how long the program itself takes, beside a copy of its own output: the table of docs/COSTS.md.

    python benches/tool.py --bin target/release/onnx-rm --corpus ../shared/corpus tv_resnet18 tv_resnet152
    python benches/tool.py --bin target/release/onnx-rm model.onnx

Each row is one model. `rewrite --no-verify` and, where they are installed, onnxslim and onnxsim write it; `cp` is the time that a copy of what
the program wrote takes, with `fsync` of the file. All take turns, and the median of the rounds is shown. A name without
`.onnx` is that of a graph of the corpus, filled with seeded weights. Peak memory is that of the process, from `wait4`.
"""

import argparse
import importlib.util
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROUNDS = 5


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin", default="target/release/onnx-rm")
    parser.add_argument("--corpus", type=Path)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("models", nargs="+")
    asked = parser.parse_args()
    others = [tool for tool in ("onnxslim", "onnxsim") if importlib.util.find_spec(tool)]
    for tool in {"onnxslim", "onnxsim"} - set(others):
        print(f"{tool} is not installed: no column for it", file=sys.stderr)
    columns = ["rewrite", "nothing to do", *others]
    print("| model | MB read, written | cp + fsync | " + " | ".join(f"{c}: time, peak memory" for c in columns) + " |")
    print("|" + "---|" * (3 + len(columns)))
    with tempfile.TemporaryDirectory() as folder:
        for name in asked.models:
            print(row(asked, name, others, Path(folder)), flush=True)


def row(asked, name, others, folder):
    model = Path(name)
    if model.suffix != ".onnx":
        model = folder / f"{name}.onnx"
        skeleton = asked.corpus / "skeletons" / f"{name}.legacy.skel.xz"
        subprocess.run([sys.executable, asked.corpus / "skeleton.py", "fill", skeleton, model], check=True)
    chain, again, copy, other = (folder / n for n in ("chain.onnx", "again.onnx", "copy.onnx", "other.onnx"))
    program = [asked.bin, "rewrite", "--no-verify", "--quiet"]
    commands = {
        "rewrite": [*program, model, chain],
        # Its own output: nothing is left to do, so it is given out byte for byte.
        "nothing to do": [*program, chain, again],
        "onnxslim": [sys.executable, "-c", "import onnxslim, sys; onnxslim.slim(*sys.argv[1:])", model, other],
        "onnxsim": [
            sys.executable,
            "-c",
            "import onnx, onnxsim, sys; m, _ = onnxsim.simplify(sys.argv[1]); onnx.save(m, sys.argv[2])",
            model,
            other,
        ],
    }
    commands = {what: commands[what] for what in ("rewrite", "nothing to do", *others)}
    times = {what: [] for what in ("cp", *commands)}
    peaks = dict.fromkeys(commands, 0)
    for turn in range(asked.rounds + 1):
        for what, command in commands.items():
            taken, peak = run(command)
            if turn:
                times[what].append(taken)
            peaks[what] = max(peaks[what], peak)
        taken = copied(chain, copy)
        if turn:
            times["cp"].append(taken)
    cp = statistics.median(times["cp"])
    cells = [f"{statistics.median(times[w]):.2f} s ({statistics.median(times[w]) / cp:.1f}x cp), {peaks[w] >> 20} MB" for w in commands]
    sizes = f"{model.stat().st_size / 1e6:.0f}, {chain.stat().st_size / 1e6:.0f}"
    return f"| {model.stem} | {sizes} | {cp:.2f} s | " + " | ".join(cells) + " |"


def run(command):
    """Seconds and the most bytes of memory of one process."""
    begin = time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    taken = time.perf_counter() - begin
    if process.returncode:
        sys.exit(f"{command} failed with {process.returncode}")
    # Linux says kilobytes, macOS bytes.
    return taken, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def copied(source, target):
    begin = time.perf_counter()
    subprocess.run(["cp", source, target], check=True)
    with open(target, "rb") as file:
        os.fsync(file.fileno())
    return time.perf_counter() - begin


main()
