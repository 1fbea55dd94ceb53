"""tract, through its Python package."""

from pathlib import Path

import tract

import runtimes
from common import report


def load(model: Path, _shape: list[int]) -> runtimes.Run:
    runnable = tract.onnx().load(str(model)).into_model().into_runnable()
    return lambda x: runnable.run([x])[0].to_numpy()


with report("tract", "tract") as found:
    runtimes.everywhere(found, load)
