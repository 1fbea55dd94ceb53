"""Writes `models/blocks/FAMILY.{legacy,dynamo}.onnx`, each checked against PyTorch.

Usage: python models/make/blocks.py [FAMILY ...]
"""

import pathlib
import sys
import zlib

import numpy
import onnxruntime
import torch

import export
import gated
import linear
import residual
import rows
import wiring
from parts import randomise

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "blocks"
FAMILIES = residual.FAMILIES | gated.FAMILIES | linear.FAMILIES | wiring.FAMILIES | rows.FAMILIES
# Every batch normalisation stays a node in these; the rest are exported as people export for inference.
KEEP_BATCH_NORM = {"batch_norm", "preactivation"}
SIZES = {"feature_layers": (12,), "conv_1d": (3, 32), "causal": (3, 32), "conv_3d": (3, 8, 8, 8), "odd_average_pool": (3, 15, 15)}
# Every axis but that of the channels is free. The TorchScript exporter writes the sizes of the sample into their borders, so that its files run at those alone.
FREE_SIZES = {"bordered_branches"}
# Everything is computed in float32 by both, in different orders.
TOLERANCE = 2e-5


def main(names):
    FOLDER.mkdir(exist_ok=True)
    for name in names or FAMILIES:
        torch.manual_seed(0)
        module = FAMILIES[name]()
        randomise(module, zlib.crc32(name.encode()))
        sample = torch.randn(2, *SIZES.get(name, (3, 16, 16)), generator=torch.Generator().manual_seed(1))
        if name in FREE_SIZES:
            path = FOLDER / f"{name}.dynamo.onnx"
            export.dynamo(module, sample, path, free=["batch", None, "height", "width"])
            check(module, sample, path)
            continue
        for write in (export.legacy, export.dynamo):
            path = FOLDER / f"{name}.{write.__name__}.onnx"
            write(module, sample, path, keep_batch_norm=name in KEEP_BATCH_NORM)
            check(module, sample, path)
    if not names or "training_mode" in names:
        training_mode()


def training_mode():
    """Exported while training: batch normalisations with the statistics of the batch. Not to be rewritten."""
    module = residual.FAMILIES["basic_identity"]()
    randomise(module, 7)
    export.legacy(module, torch.zeros(2, 3, 16, 16), FOLDER / "training_mode.legacy.onnx", training=True)


def check(module, sample, path):
    with torch.no_grad():
        wanted = module.eval()(sample).numpy()
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"input": sample.numpy()})
    error = numpy.abs(found - wanted).max() / numpy.abs(wanted).max()
    print(f"{path.name:45} {path.stat().st_size:7} bytes  error {error:.1e}  largest {numpy.abs(wanted).max():.2f}")
    assert error < TOLERANCE, path


if __name__ == "__main__":
    main(sys.argv[1:])
