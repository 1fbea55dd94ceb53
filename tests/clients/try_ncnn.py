"""ncnn through pnnx, its converter: no layer for `Where`, and none for the shortcut of ResNet-20 as PyTorch exports it."""

import importlib.util
import subprocess
from pathlib import Path

import ncnn
import numpy as np

import runtimes
from common import report

PNNX = Path(importlib.util.find_spec("pnnx").origin).parent / "pnnx"  # the program alone: its package would want torch


def load(model: Path, shape: list[int]) -> runtimes.Run:
    size = "inputshape=" + str(shape).replace(" ", "")
    subprocess.run([PNNX, model.name, size], cwd=model.parent, capture_output=True, timeout=300, check=True)
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


with report("ncnn", "ncnn", "pnnx") as found:
    runtimes.everywhere(found, load)
