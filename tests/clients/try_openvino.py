"""OpenVINO, on one thread of a CPU in float32."""

from pathlib import Path

import openvino

import runtimes
from common import report

CORE = openvino.Core()
CORE.set_property("CPU", {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32"})


def load(model: Path, _shape: list[int]) -> runtimes.Run:
    compiled = CORE.compile_model(model, "CPU")
    return lambda x: compiled(x)[0]


with report("openvino", "openvino") as found:
    runtimes.everywhere(found, load)
