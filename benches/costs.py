"""Measures what rewriting costs and writes the tables of docs/COSTS.md; run by hand, docs/COSTS.md says how.

Every table stands between two marks in its page, `<!-- NAME -->` and `<!-- end of NAME -->`; only what stands between is
written. Needs the packages of tests/python/requirements.txt.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
import onnxruntime as ort

ROOT = Path(__file__).resolve().parent.parent
TYPES = {"tensor(float)": np.float32, "tensor(double)": np.float64, "tensor(float16)": np.float16}

# Networks of the corpus: name, file, and MACs and CPU time over the original's that were measured apart from this program,
# on the same network at 224x224: with the published recipe, and with the cheapest exact form then known.
NETWORKS = [
    ("resnet18", "tv_resnet18", (1.77, 1.74), (1.77, 1.74)),
    ("resnet34", "tv_resnet34", (1.89, 1.85), (1.89, 1.85)),
    ("resnet50", "tv_resnet50", (11.27, 10.86), (3.92, 3.86)),
    ("resnet152", "tv_resnet152", None, None),
    ("resnext50_32x4d", "tv_resnext50_32x4d", (2.41, 2.38), (2.41, 2.38)),
    ("seresnet18", "timm_seresnet18", (2.65, 2.54), (2.03, 1.97)),
    ("seresnet50", "timm_seresnet50", (13.57, 11.87), (6.22, 5.59)),
    ("resnetv2_50", "timm_resnetv2_50", None, None),
    ("darknet53", "timm_darknet53", (5.24, 5.79), (2.33, 2.38)),
    ("mobilenet_v2", "tv_mobilenet_v2", (2.82, 2.42), (1.09, 1.37)),
    ("efficientnet_b0", "tv_efficientnet_b0", None, None),
    ("ghostnet_100", "timm_ghostnet_100", None, None),
    ("edsr_baseline", "c_edsr_baseline", None, None),
    ("repvgg_a0", "timm_repvgg_a0", None, None),
    ("mobileone_s0", "timm_mobileone_s0", None, None),
    ("repghostnet_100", "timm_repghostnet_100", None, None),
    ("fastvit_t8", "timm_fastvit_t8", None, None),
]
OBJECTIVES = ["latency", "macs", "parameters", "memory", "nodes"]
LINEAR = ["repvgg_a0", "mobileone_s0", "repghostnet_100", "fastvit_t8"]


def main():
    args = arguments()
    ort.set_default_logger_severity(3)
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(args.bin, Path(folder))
        if "blocks" in args.tables:
            replace("docs/COSTS.md", "blocks", blocks_table(bench))
        if args.corpus and "objectives" in args.tables:
            replace("docs/COSTS.md", "objectives", objectives_table(bench, args.corpus))
        if args.corpus and "networks" in args.tables:
            networks, folding = network_tables(bench, args.corpus)
            replace("docs/COSTS.md", "networks", networks)
            replace("README.md", "folding", folding)


def arguments():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", type=Path, default=ROOT / "target/release/onnx-rm", help="the program, with verification")
    parser.add_argument("--corpus", type=Path, help="folder with skeleton.py and skeletons/: also whole networks")
    tables = ["blocks", "networks", "objectives"]
    parser.add_argument("--tables", nargs="+", choices=tables, default=tables, help="these alone")
    return parser.parse_args()


class Bench:
    """Rewrites and times models, and keeps the ratios of the controls: the original against itself."""

    def __init__(self, binary, folder):
        self.binary, self.folder, self.controls = binary, folder, []

    def rewrite(self, model, *options):
        """Path of the rewritten model, and the program's report."""
        out = self.folder / "rewritten.onnx"
        command = [self.binary, "rewrite", model, out, "--json", "--quiet", *options]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"{model}: exit code {done.returncode}: {done.stderr}")
        return out, json.loads(done.stdout)

    def compare(self, before, after, batch, rounds, least):
        """CPU time of `after` over `before`, and the largest difference of an output over its largest value."""
        first, second, feed = session(before), session(after), inputs(before, batch)
        self.controls.append(time_ratio(first, session(before), feed, rounds, least))
        return time_ratio(first, second, feed, rounds, least), difference(first, second, feed)

    def spread(self):
        """The controls so far, in words; they are then forgotten."""
        low, middle, high = np.percentile(self.controls, [5, 50, 95])
        count, self.controls = len(self.controls), []
        return f"{low:.2f}, {middle:.2f} and {high:.2f} (5th, 50th and 95th percentile of {count})"


def session(path):
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def inputs(path, batch):
    """Seeded normal values; free dimensions are `batch`."""
    rng = np.random.default_rng(0)
    shape = lambda value: [d if isinstance(d, int) else batch for d in value.shape]
    return {v.name: rng.standard_normal(shape(v)).astype(TYPES[v.type]) for v in session(path).get_inputs()}


def time_ratio(first, second, feed, rounds, least):
    """Median over `rounds` of the CPU time of `second` over `first`, which run as first, second, second, first.

    So each of the two runs once behind itself and once behind the other, whose weights fill the caches. A sample repeats one
    model as often as the first needs for `least` seconds. CPU time of the calling thread, in which a session with one thread
    does all its work, so that other load of the machine does not count as far as possible.
    """
    for _ in range(3):
        sample(first, feed, 1), sample(second, feed, 1)
    times = max(1, round(least / sample(first, feed, 1)))
    ratios = []
    for _ in range(rounds):
        a, b, c, d = (sample(s, feed, times) for s in (first, second, second, first))
        ratios.append((b + c) / (a + d))
    return statistics.median(ratios)


def sample(model, feed, times):
    start = time.thread_time()
    for _ in range(times):
        model.run(None, feed)
    return (time.thread_time() - start) / times


def difference(first, second, feed):
    pairs = zip(first.run(None, feed), second.run(None, feed), strict=True)
    return max(float(np.abs(a - b).max() / max(np.abs(a).max(), 1e-30)) for a, b in pairs)


def blocks_table(bench):
    """The blocks of models/blocks and the trained models."""
    lines = [
        "| model | what happens | MACs | parameters | nodes | CPU time | original's error | rewritten's error |",
        "|---|---|---|---|---|---|---|---|",
    ]
    models = sorted((ROOT / "models/blocks").glob("*.legacy.onnx"))
    models += [ROOT / "models/digits_resnet.onnx", ROOT / "models/digits_mobilenet_v2.onnx"]
    for model in models:
        name = model.name.removesuffix(".onnx").removesuffix(".legacy")
        progress(name)
        after, report = bench.rewrite(model)
        seconds, errors = "", ["", ""]
        if any(s["status"] == "removed" for s in report["sites"]):
            seconds = times(bench.compare(model, after, batch=8, rounds=31, least=0.002)[0])
            errors = [f"{e:.1e}" for e in worst_errors(report["verification"])]
        price = [change(report, key) for key in ("macs", "params", "nodes")]
        lines.append(row([name, words(report["sites"]), *price, seconds, *errors]))
    note = f"{host()} Batch 8, 31 rounds. The original against itself: {bench.spread()}."
    return "\n".join([note, "", *lines])


def words(sites):
    """Forms of what went; why residual joins stay, and, where nothing is removed, why the rest does."""
    gone = Counter(s["form"] for s in sites if s["status"] == "removed")
    stay = Counter(s["code"] for s in sites if s["status"] == "kept" and (s["kind"] == "residual" or not gone))
    count = lambda n: f"{n} x " if n > 1 else ""
    parts = [count(n) + form for form, n in gone.items()] + [f"stays: {count(n)}`{code}`" for code, n in stay.items()]
    return "; ".join(parts) or "nothing to remove"


def worst_errors(verification):
    """Largest distance from float64 over the largest value, over all outputs and kinds of inputs: original, rewritten."""
    measures = [m for output in verification["outputs"] for m in output["measures"]]
    worst = lambda key: max(m[key] for m in measures if m.get(key) is not None)
    return worst("original_error"), worst("rewritten_error")


def network_tables(bench, corpus):
    """The table of whole networks, and that of the linear folds alone."""
    sys.path.insert(0, str(corpus))
    import skeleton

    lines = [
        "| network | residual joins | folds | MACs | parameters | nodes | CPU time | CPU time, `--target onnxruntime` "
        "| `--objective macs`: MACs / parameters / time | `--carry conv`: MACs / parameters / time "
        "| published recipe: MACs / time | known least of convolutions: MACs / time | original's error | rewritten's error |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    folding = [
        "| network | folds | MACs | parameters | nodes | CPU time, folded / unfolded | difference |",
        "|---|---|---|---|---|---|---|",
    ]
    measure = lambda model, after: bench.compare(model, after, batch=1, rounds=9, least=0.02)
    for name, file, published, known in NETWORKS:
        progress(name)
        model = bench.folder / f"{name}.onnx"
        skeleton.fill(str(corpus / "skeletons" / f"{file}.legacy.skel.xz"), str(model))
        after, report = bench.rewrite(model)
        errors = [f"{e:.1e}" for e in worst_errors(report["verification"])]
        generic, _ = measure(model, after)
        price = [change(report, key) for key in ("macs", "params", "nodes")]
        after, other = bench.rewrite(model, "--no-verify", "--target", "onnxruntime")
        targeted, _ = measure(model, after)
        target = times(targeted) + ("" if macs(other) == macs(report) else f" at {change(other, 'macs')} MACs")
        others = []
        for option in (("--objective", "macs"), ("--carry", "conv")):
            after, other = bench.rewrite(model, "--no-verify", *option)
            others.append(" / ".join([change(other, "macs"), change(other, "params"), times(measure(model, after)[0])]))
        figures = [" / ".join(map(times, f)) if f else "" for f in (published, known)]
        counts = [residuals(report), folds(report)]
        lines.append(row([name, *counts, *price, times(generic), target, *others, *figures, *errors]))
        if name in LINEAR:
            after, report = bench.rewrite(model, "--no-verify", "--skip", "residual")
            folded, error = measure(model, after)
            price = [change(report, key) for key in ("macs", "params", "nodes")]
            folding.append(row([name, folds(report), *price, times(folded), f"{error:.0e}"]))
        model.unlink()
    note = f"{host()} Batch 1, 9 rounds. The original against itself: {bench.spread()}."
    lines = [note, "", *lines, "", "With `--skip residual`, which leaves residual joins and does the folds alone:", "", *folding]
    return "\n".join(lines), "\n".join(folding)


def objectives_table(bench, corpus):
    """Each network by each objective: what is counted, and the time it takes."""
    sys.path.insert(0, str(corpus))
    import skeleton

    head = ["network", "objective", "residual joins", "MACs", "parameters", "bytes", "peak memory", "nodes", "CPU time", "difference"]
    lines = [row(head), "|---|---|---|" + "--:|" * (len(head) - 3)]
    for name, file, *_ in NETWORKS:
        progress(name)
        model = bench.folder / f"{name}.onnx"
        skeleton.fill(str(corpus / "skeletons" / f"{file}.legacy.skel.xz"), str(model))
        measured = {}
        for objective in OBJECTIVES:
            after, report = bench.rewrite(model, "--no-verify", "--objective", objective)
            # Two objectives often write the same: that is timed once.
            content = after.read_bytes()
            if content not in measured:
                measured[content] = bench.compare(model, after, batch=1, rounds=7, least=0.02)
            seconds, apart = measured[content]
            price = [change(report, key) for key in ("macs", "params", "bytes", "activation_bytes", "nodes")]
            lines.append(row([name, f"`{objective}`", residuals(report), *price, times(seconds), f"{apart:.0e}"]))
        model.unlink()
    note = f"{host()} Batch 1, 7 rounds. The original against itself: {bench.spread()}."
    return "\n".join([note, "", *lines])


def residuals(report):
    sites = [s["status"] for s in report["sites"] if s["kind"] == "residual"]
    return f"{sites.count('removed')} of {len(sites)}" if sites else ""


def folds(report):
    count = sum(s["status"] == "removed" and s["kind"] in ("parallel", "sequence") for s in report["sites"])
    return str(count or "")


def macs(report):
    return report["after"]["macs"]


def change(report, key):
    """After over before; of nodes both numbers."""
    before, after = report["before"][key], report["after"][key]
    if before is None or after is None:
        return "unknown"
    return f"{before} to {after}" if key == "nodes" else times(after / before)


def times(ratio):
    return f"{ratio:.2f}x"


def row(cells):
    return "| " + " | ".join(c.replace("|", "\\|") for c in cells) + " |"


def host():
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    model = next((l.split(":")[1].strip() for l in lines if l.startswith("model name")), "unknown processor")
    return f"ONNX Runtime {ort.__version__}, {model}."


def progress(name):
    print(name, file=sys.stderr, flush=True)


def replace(page, name, text):
    """Puts `text` between the marks of `name` in `page`."""
    path, begin, end = ROOT / page, f"<!-- {name} -->\n", f"<!-- end of {name} -->"
    before, rest = path.read_text().split(begin)
    path.write_text(before + begin + text + "\n" + end + rest.split(end)[1])


if __name__ == "__main__":
    main()
