"""Compares folding with what each network's own PyTorch code deploys and writes a table of docs/COSTS.md; run by hand.

Needs torch and timm besides the packages of tests/python/requirements.txt. Weights are random and seeded, statistics of
BatchNormalization too, so that no branch is nearly nothing.
"""

import argparse
import copy
import sys
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import timm
import torch
from timm.utils.model import reparameterize_model

from costs import Bench, ROOT, progress, replace, row

NETWORKS = ["repvgg_a0", "mobileone_s0", "repghostnet_100", "fastvit_t8"]
SIZE = 64


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", type=Path, default=ROOT / "target/release/onnx-rm", help="the program")
    args = parser.parse_args()
    ort.set_default_logger_severity(3)
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(args.bin, Path(folder))
        replace("docs/COSTS.md", "deployed", table(bench))


def table(bench):
    lines = [
        "| network | nodes: trained, deployed, folded | operators, deployed to folded | MACs: deployed, folded | difference "
        "| deployed's error | folded's error |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in NETWORKS:
        progress(name)
        model = trained(name)
        image = torch.randn(1, 3, SIZE, SIZE)
        with torch.no_grad():
            exact = copy.deepcopy(model).double()(image.double()).numpy()
        files = [bench.folder / f"{name}.{form}.onnx" for form in ("trained", "deployed")]
        export(model, image, files[0])
        export(reparameterize_model(copy.deepcopy(model)).eval(), image, files[1])
        deployed = bench.rewrite(files[1], "--no-verify")[1]["before"]
        folded, report = bench.rewrite(files[0], "--no-verify", "--skip", "residual")
        counts = [Counter(n.op_type for n in onnx.load(f).graph.node) for f in (files[1], folded)]
        outputs = [run(f, image.numpy()) for f in (files[1], folded)]
        error = lambda a, b: f"{np.abs(a - b).max() / np.abs(b).max():.1e}"
        nodes = f"{report['before']['nodes']}, {deployed['nodes']}, {report['after']['nodes']}"
        macs = f"{deployed['macs'] / 1e6:.2f} M, {report['after']['macs'] / 1e6:.2f} M"
        lines.append(row([name, nodes, changes(*counts), macs, error(*outputs), *(error(o, exact) for o in outputs)]))
    versions = f"timm {timm.__version__}, PyTorch {torch.__version__.split('+')[0]}, ONNX Runtime {ort.__version__}"
    return "\n".join([f"{versions}; images of {SIZE}x{SIZE}.", "", *lines])


def trained(name):
    """The network in training form, for inference."""
    torch.manual_seed(0)
    model = timm.create_model(name).eval()
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.7, 1.3)
            torch.nn.init.uniform_(module.weight, 0.7, 1.3)
            torch.nn.init.normal_(module.bias, 0, 0.1)
    return model


def export(model, image, path):
    """Writes `model` with no BatchNormalization fused by the exporter."""
    torch.onnx.export(model, image, path, opset_version=17, dynamo=False, training=torch.onnx.TrainingMode.PRESERVE)


def run(path, image):
    """The output in ONNX Runtime, nothing optimised."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: image})[0]


def changes(before, after):
    """Operators of which there are more or fewer."""
    ops = sorted(op for op in before | after if before[op] != after[op])
    return ", ".join(f"{op} {before[op]} to {after[op]}" for op in ops) or "the same"


if __name__ == "__main__":
    main()
