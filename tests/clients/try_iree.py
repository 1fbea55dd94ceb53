"""IREE: compiled ahead of time for one thread of this machine's CPU, with the compiler's own choice of everything else."""

import functools
import subprocess
import sys
from pathlib import Path

import numpy as np
from iree import runtime

import runtimes
from common import report


@functools.cache
def compiled(model: Path) -> Path:
    graph, out = model.with_suffix(".mlir"), model.with_suffix(".vmfb")
    # Only what is newer than opset 17 needs no raising.
    imported = [sys.executable, "-m", "iree.compiler.tools.import_onnx", model, "-o", graph, "--opset-version", "17"]
    target = ["--iree-hal-target-device=local", "--iree-hal-local-target-device-backends=llvm-cpu", "--iree-llvmcpu-target-cpu=host"]
    for command in (imported, [Path(sys.executable).with_name("iree-compile"), graph, *target, "-o", out]):
        done = subprocess.run(command, capture_output=True, text=True, timeout=3600, check=False)
        if done.returncode:
            lines = done.stderr.strip().splitlines()
            raise RuntimeError(next((line for line in lines if "error" in line.lower()), "no reason given"))
    return out


def load(model: Path, _shape: list[int]) -> runtimes.Run:
    config = runtime.Config("local-sync")
    module = runtime.VmModule.mmap(config.vm_instance, str(compiled(model)))
    name = next(name for name in module.function_names if not name.startswith("__") and not name.endswith("$async"))
    context = runtime.SystemContext(config=config)
    context.add_vm_module(module)
    function = context.modules[module.name][name]
    return lambda x: np.array(function(x).to_host())


with report("iree", "iree-base-compiler", "iree-base-runtime") as found:
    # The small ones: the compiler takes long for others.
    runtimes.everywhere(found, load, trained=("digits_resnet", "resnet20"), skeletons=())
