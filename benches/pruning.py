"""Prunes trained networks to shares of their multiply-accumulates and writes the table of docs/PRUNING.md; run by hand.

Needs a folder with trained networks, images and a manifest.json of how each network wants them (`--corpus`), and the packages of
tests/python/requirements.txt. `--others PYTHON` also measures other tools, by an interpreter that has what `pruning_others.py` asks for.
What is measured stands in `--results` as well, and is not measured again; what is worth most comes first.
"""

import argparse
import itertools
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import onnxruntime as ort

from costs import ROOT, host, progress, replace, row, session, time_ratio

NETWORKS = ["resnet20", "resnet32", "resnet8_mlperf", "cifar_mbv2_relu6", "cifar_resnet18w16_proj"]
RATIOS = [0.8, 0.5, 0.6, 0.4, 0.3]
# What stands behind the slash is asked of `--multiple-of`.
WAYS = ["residual", "decoupled", "chain", "residual/16", "residual/8"]
OTHERS = ["onnxsim", "torch-pruning"]
MEAN, DEVIATION = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", type=Path, default=ROOT / "target/release/onnx-rm", help="the program")
    parser.add_argument("--corpus", type=Path, required=True, help="folder with trained/, images/ and manifest.json")
    parser.add_argument("--results", type=Path, default=ROOT / "target/pruning.json", help="what is measured already")
    parser.add_argument("--networks", nargs="*", default=NETWORKS)
    parser.add_argument("--ratios", nargs="*", type=float, default=RATIOS)
    parser.add_argument("--ways", nargs="*", default=WAYS)
    parser.add_argument("--others", metavar="PYTHON", help="an interpreter with other tools, to measure these too")
    parser.add_argument("--table", action="store_true", help="measure nothing, only write the table")
    args = parser.parse_args()
    ort.set_default_logger_severity(3)
    results = json.loads(args.results.read_text()) if args.results.exists() else {}
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(args.bin, args.corpus, Path(folder))
        for key, measure in [] if args.table else bench.cells(args):
            if key not in results:
                progress(key)
                results[key] = measure()
                args.results.write_text(json.dumps(results, indent=1))
    replace("docs/PRUNING.md", "measured", table(results))


class Bench:
    """Prunes, counts right answers, and times."""

    def __init__(self, binary, corpus, folder):
        self.binary, self.corpus, self.folder = binary, corpus, folder
        self.preprocess = {k: m["preprocess"] for k, m in json.loads((corpus / "manifest.json").read_text())["models"].items()}
        self.test, self.calibration = (np.load(corpus / f"images/cifar10_{n}.npz") for n in ("test_2000", "calib_1024"))

    def cells(self, args):
        """What there is to measure: a name, and a function that measures it."""
        path = lambda name: self.corpus / f"trained/{name}.onnx"
        for name in args.networks:
            yield f"{name} original", lambda name=name: {"top1": self.top1(name, path(name))}
        for ratio, way, name in itertools.product(args.ratios, args.ways, args.networks):
            yield f"{name} {way} {ratio}", lambda name=name, way=way, ratio=ratio: self.prune(name, path(name), ratio, way)
        for ratio, tool, name in itertools.product(args.ratios, OTHERS if args.others else [], args.networks):
            command = [args.others, ROOT / "benches/pruning_others.py", tool, path(name), str(ratio)]
            yield f"{name} {tool} {ratio}", lambda name=name, command=command: self.other(name, command)

    def other(self, name, command):
        """What another tool makes of it, setting by setting."""
        calibration, test = self.folder / f"{name}.npy", self.folder / f"{name}_test.npz"
        if not test.exists():
            np.save(calibration, self.images(name, self.calibration))
            np.savez(test, x=self.images(name, self.test), y=self.test["y"])
        done = subprocess.run([*command, calibration, test], stdout=subprocess.PIPE, text=True)
        return json.loads(done.stdout) if done.returncode == 0 else {"failed": f"exit code {done.returncode}"}

    def images(self, name, images):
        """The images as the network wants them."""
        x = images["x"].astype(np.float32)
        if self.preprocess[name] == "imagenet":
            x = (x / 255 - MEAN) / DEVIATION
        return x if self.preprocess[name] == "raw-nhwc" else np.ascontiguousarray(x.transpose(0, 3, 1, 2))

    def prune(self, name, model, ratio, way):
        """Answers, size and time of the pruned model, and what pruning itself took."""
        samples, out = self.folder / f"{name}.npz", self.folder / "pruned.onnx"
        if not samples.exists():
            np.savez(samples, **{session(model).get_inputs()[0].name: self.images(name, self.calibration)})
        way, _, multiple = way.partition("/")
        command = ["prune", model, out, "--calibration", samples, "--macs", f"{ratio}x", "--way", way, "--json"]
        command += ["--multiple-of", multiple] if multiple else []
        report, seconds, memory = self.run(command)
        if report is None:
            return {"failed": seconds}
        feed = {session(model).get_inputs()[0].name: self.images(name, self.test)[:16]}
        taken = report["ways"][0]
        return {
            "top1": self.top1(name, out),
            "macs": taken["macs"] / report["macs"],
            "cpu": time_ratio(session(model), session(out), feed, rounds=15, least=0.01),
            "error": taken["quality"]["relative_error"],
            "seconds": seconds,
            "memory": memory,
        }

    def run(self, command):
        """The report, processor seconds and MiB at most; or `None` and why not."""
        said, wrong = self.folder / "out.json", self.folder / "out.err"
        with said.open("w") as out, wrong.open("w") as err:
            begun = time.monotonic()
            actions = [(os.POSIX_SPAWN_DUP2, out.fileno(), 1), (os.POSIX_SPAWN_DUP2, err.fileno(), 2)]
            child = os.posix_spawn(self.binary, [str(self.binary), *map(str, command)], os.environ, file_actions=actions)
            _, status, usage = os.wait4(child, 0)
        progress(f"  {time.monotonic() - begun:.0f} s")
        if status:
            return None, wrong.read_text().strip(), 0
        return json.loads(said.read_text()), usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024

    def top1(self, name, path):
        """Right answers in ONNX Runtime, in percent."""
        model, x = session(path), self.images(name, self.test)
        port = model.get_inputs()[0]
        step = port.shape[0] if isinstance(port.shape[0], int) else 100
        scores = [model.run(None, {port.name: x[i : i + step]})[0] for i in range(0, len(x), step)]
        answers = np.concatenate([s.reshape(-1, s.shape[-1]) for s in scores]).argmax(1)
        return 100 * float(np.mean(answers == self.test["y"]))


def table(results):
    """Of each network, a row for each way and each other tool, a cell for each ratio."""
    ratios = sorted({k.split()[2] for k in results if len(k.split()) == 3}, key=float, reverse=True)
    head = ["network, way", *(f"{r}x" for r in ratios), "processor time of pruning", "memory of pruning"]
    lines = [row(head), "|---|" + "--:|" * (len(head) - 1)]
    for name in NETWORKS:
        original = results.get(f"{name} original")
        if original is None:
            continue
        lines.append(row([f"**{name}**, original {original['top1']:.2f}", *[""] * (len(head) - 1)]))
        for way in WAYS + OTHERS:
            cells = [results.get(f"{name} {way} {ratio}") for ratio in ratios]
            done = [c for c in cells if c and "seconds" in c]
            seconds = f"{min(c['seconds'] for c in done):.0f} to {max(c['seconds'] for c in done):.0f} s" if done else ""
            memory = f"{max(c['memory'] for c in done):.0f} MiB" if done else ""
            if any(cells):
                lines.append(row([way.replace("/", ", multiples of "), *map(cell, cells), seconds, memory]))
    versions = {f"{k.split()[1]} {v['version']}" for k, v in results.items() if "version" in v}
    return "\n".join([" ".join([host(), *(f"{v}." for v in sorted(versions))]), "", *lines])


def cell(found):
    """Right answers in percent, and CPU time over the original's; of another tool its best setting."""
    if found is None:
        return "-"
    if "settings" in found:
        settings = [s for s in found["settings"].values() if s]
        right = [s["top1"] for s in settings if "top1" in s]
        return f"{max(right):.2f}" if right else "fails" if settings else "cannot be met"
    return f"{found['top1']:.2f} ({found['cpu']:.2f}x)" if "top1" in found else "cannot be met"


if __name__ == "__main__":
    main()
