"""ncnn through pnnx, its converter: it reads neither the shortcut of ResNet-20 as PyTorch exports it, nor selections of channels."""

import importlib.util
import subprocess
from pathlib import Path

import ncnn
import numpy as np

import runtimes
from common import Report, compare, nets, report, run

PNNX = Path(importlib.util.find_spec("pnnx").origin).parent / "pnnx"  # the program alone: its package would want torch


def load(model: Path, shape: list[int]) -> runtimes.Run:
    size = "inputshape=" + str(shape).replace(" ", "")
    subprocess.run([PNNX, model.name, size, "fp16=0"], cwd=model.parent, capture_output=True, timeout=300, check=True)
    net = ncnn.Net()
    net.opt.num_threads = 1
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
    for read, end in ((net.load_param, "param"), (net.load_model, "bin")):
        if read(str(model.with_suffix(f".ncnn.{end}"))):
            raise RuntimeError(f"ncnn does not read {model.stem}.ncnn.{end}")
    if "out0" not in net.output_names():
        raise RuntimeError("pnnx left no output")

    def one(x: np.ndarray) -> np.ndarray:
        extractor = net.create_extractor()
        extractor.input("in0", ncnn.Mat(np.ascontiguousarray(x[0])).clone())
        code, out = extractor.extract("out0")
        if code:
            raise RuntimeError(f"ncnn stopped with {code}")
        return np.array(out)

    return one


def selections(found: Report) -> None:
    """Without `--carry conv` there are selections of channels, `Gather`, and pnnx takes one channel for all of them."""
    for net in nets("resnet20"):
        x, _ = net.images(20)
        gap = compare(run(net.path, x), runtimes.images(load, net.rewrite(), x))
        found.claim(gap.other, "pnnx still reads a selection of channels wrongly; if not, drop `--carry conv`")
        found.row(net.name, "", "", f"silently wrong: {gap}")


with report("ncnn", "ncnn", "pnnx") as found:
    runtimes.everywhere(found, load, "--carry", "conv")
    selections(found)
