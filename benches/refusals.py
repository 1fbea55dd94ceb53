"""Verifies sound rewrites with many seeds of inputs, and counts those that are refused: the table of docs/VERIFICATION.md.

    python benches/refusals.py --corpus ../shared/corpus

Of each graph of the corpus, filled with seeded weights, the rewrite (`--long-skips`) is verified once with each seed, and what
onnxslim, onnxsim and ONNX Runtime's basic optimiser make of it once. Nothing of that should be refused. What is measured stands in
`--results` and is not measured again; `--lane 0/2` takes every second graph, so that two of them can run beside each other, each
with results of its own. `--table --results A --results B` makes the table of both.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import onnxruntime as ort

from costs import ROOT, progress, replace, row

SLIM = "import onnxslim, sys; onnxslim.slim(*sys.argv[1:])"
SIMPLIFY = "import onnx, onnxsim, sys; m, _ = onnxsim.simplify(sys.argv[1]); onnx.save(m, sys.argv[2])"
TOOLS = ["onnxslim", "onnxsim", "ONNX Runtime basic"]
REFUSED = ["different", "no evidence"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", type=Path, default=ROOT / "target/release/onnx-rm", help="the program")
    parser.add_argument("--corpus", type=Path, required=True, help="folder with skeleton.py and skeletons/")
    parser.add_argument("--seeds", type=int, default=10)
    parser.add_argument("--timeout", type=float, default=900, help="seconds for one verification")
    parser.add_argument("--lane", default="0/1", metavar="I/N", help="only every Nth graph, from the Ith on")
    parser.add_argument("--results", type=Path, action="append", help="what is measured already; the first of them is written")
    parser.add_argument("--table", action="store_true", help="measure nothing, only write the table")
    parser.add_argument("graphs", nargs="*", help="these graphs first")
    args = parser.parse_args()
    args.results = args.results or [ROOT / "target/refusals.json"]
    ort.set_default_logger_severity(3)
    results = {}
    for path in reversed(args.results):
        results |= json.loads(path.read_text()) if path.exists() else {}
    if args.table:
        replace("docs/VERIFICATION.md", "refusals", table(results))
        return
    sys.path.insert(0, str(args.corpus))
    own = json.loads(args.results[0].read_text()) if args.results[0].exists() else {}
    for name in ordered(args):
        with tempfile.TemporaryDirectory() as folder:
            for what, verdict in Graph(args, name, Path(folder)).verdicts(results.get(name, {})):
                own.setdefault(name, {})[what] = verdict
                args.results[0].write_text(json.dumps(own, indent=1))
                if verdict in REFUSED or "equal" not in verdict:
                    progress(f"{name}, {what}: {verdict}")


def ordered(args):
    """The graphs in their order, those that were named first, of these every Nth."""
    names = sorted(p.name.removesuffix(".skel.xz") for p in (args.corpus / "skeletons").glob("*.skel.xz"))
    first, count = map(int, args.lane.split("/"))
    return [*args.graphs, *(n for n in names if n not in args.graphs)][first::count]


class Graph:
    """One graph of the corpus, written where there is something to measure."""

    def __init__(self, args, name, folder):
        self.args, self.name, self.model = args, name, folder / "original.onnx"
        self.changed = folder / "changed.onnx"

    def verdicts(self, known):
        """Yields what was done and the verdict of it, of all that is not `known`."""
        seeds = [s for s in range(1, self.args.seeds + 1) if f"seed {s}" not in known]
        tools = [t for t in TOOLS if t not in known]
        if not seeds and not tools:
            return
        import skeleton

        begun = time.monotonic()
        skeleton.fill(str(self.args.corpus / "skeletons" / f"{self.name}.skel.xz"), str(self.model))
        if seeds:
            self.run([self.args.bin, "rewrite", "--long-skips", "--no-verify", "--quiet", self.model, self.changed], check=True)
        for seed in seeds:
            yield f"seed {seed}", self.verify(seed)
        for tool in tools:
            yield tool, self.verify(0) if self.apply(tool) else "not written by the tool"
        progress(f"{self.name}: {time.monotonic() - begun:.0f} s")

    def apply(self, tool):
        """Has `tool` write the changed model; whether it did."""
        self.changed.unlink(missing_ok=True)
        if tool == "ONNX Runtime basic":
            options = ort.SessionOptions()
            options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
            options.optimized_model_filepath = str(self.changed)
            ort.InferenceSession(str(self.model), options, providers=["CPUExecutionProvider"])
        else:
            self.run([sys.executable, "-c", SLIM if tool == "onnxslim" else SIMPLIFY, self.model, self.changed])
        return self.changed.exists()

    def verify(self, seed):
        try:
            done = self.run([self.args.bin, "verify", "--json", "--quiet", f"--seed={seed}", self.model, self.changed], timeout=self.args.timeout)
        except subprocess.TimeoutExpired:
            return f"no verdict in {self.args.timeout:.0f} s"
        try:
            return json.loads(done.stdout)["verdict"]
        except (ValueError, KeyError):
            return f"exit code {done.returncode}: {done.stderr.strip()}"

    def run(self, command, **options):
        return subprocess.run(list(map(str, command)), capture_output=True, text=True, **options)


def table(results):
    """Of the rewrites and of each tool, how often which verdict was given."""
    count = lambda names: Counter(v for of in results.values() for k, v in of.items() if k in names or ("seed" in names and k.startswith("seed")))
    rows = [("the program's own rewrites", count(["seed"])), *((f"what {t} makes of the graph", count([t])) for t in TOOLS)]
    verdicts = sorted({v for _, c in rows for v in c})
    lines = [row(["", "graphs", "verifications", *verdicts]), "|---|" + "--:|" * (len(verdicts) + 2)]
    for (what, counted), tool in zip(rows, ["seed", *TOOLS], strict=True):
        graphs = sum(any(k.startswith(tool) for k in of) for of in results.values())
        lines.append(row([what, str(graphs), str(counted.total()), *(str(counted[v]) for v in verdicts)]))
    return "\n".join(lines)


if __name__ == "__main__":
    main()
