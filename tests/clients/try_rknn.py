"""RKNN-Toolkit2 for Rockchip's NPUs, target RK3588: int8 in the vendor's simulator; what its compiler says of cycles and memory.

The compiler prints what it makes of a model, from compiled code, so that what goes to the standard output is kept.
"""

import contextlib
import os
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from rknn.api import RKNN

from common import WORK, Net, Report, accuracy, compare, fixed, nets, report, run

IMAGES, CALIBRATION = 200, 64
FOLDER = WORK / "rknn"
# Operator, where it runs, and the cycles of memory, NPU and both.
ROW = re.compile(r" (\w+) +\w+ +(CPU|NPU|GPU) .* (\d+)/(\d+)/(\d+) ")


@contextlib.contextmanager
def printed(file: Path) -> Iterator[None]:
    """What this process prints meanwhile, by whatever part of it, goes to the file."""
    kept = [os.dup(1), os.dup(2)]
    with file.open("w") as out:
        os.dup2(out.fileno(), 1)
        os.dup2(out.fileno(), 2)
        try:
            yield
        finally:
            for there, descriptor in enumerate(kept, 1):
                os.dup2(descriptor, there)
                os.close(descriptor)


def tried(net: Net, model: Path) -> tuple[str, dict]:
    x, classes = net.images(IMAGES)
    said = FOLDER / f"{model.stem}.log"
    with contextlib.chdir(FOLDER), printed(said):
        found = outputs(net, model, x)
    gap, log = compare(run(net.path, x), found), said.read_text()
    rows = [(kind, where, int(cycles)) for kind, where, _, _, cycles in ROW.findall(log)]
    # What the first and the last operator do is hand over tensors.
    elsewhere = Counter(kind for kind, where, _ in rows if where != "NPU" and kind not in ("InputOperator", "OutputOperator"))
    internal, weights = (float(re.search(rf"Total {kind} Memory Size: ([\d.]+)KB", log)[1]) for kind in ("Internal", "Weight"))
    figures = {
        "other": gap.other,
        "accuracy": accuracy(found, classes),
        "cycles": sum(cycles for *_, cycles in rows),
        "internal KiB": internal,
        "weights KiB": weights,
        "not on the NPU": dict(elsewhere),
    }
    away = ", ".join(f"{count} {kind}" for kind, count in elsewhere.items()) or "nothing"
    words = (
        f"int8: {gap.other} of {gap.count} classes differ from float32's ({figures['accuracy']:.1%} right); {figures['cycles']:,} cycles, "
        f"{internal:g} KiB for activations, {weights:g} for weights; on the CPU: {away}"
    )
    return words, figures


def outputs(net: Net, model: Path, x: np.ndarray, *, int8: bool = True) -> np.ndarray:
    """What the simulator computes in int8 or float16, `[images, classes]`."""
    samples = FOLDER / f"{net.name}.samples"
    samples.mkdir(parents=True, exist_ok=True)
    files = [samples / f"{i}.npy" for i in range(CALIBRATION)]
    for file, image in zip(files, net.calibration(CALIBRATION), strict=True):
        np.save(file, image[None])
    listed = samples / "all.txt"
    listed.write_text("".join(f"{file}\n" for file in files))
    rknn = RKNN(verbose=True)
    steps = (
        lambda: rknn.config(target_platform="rk3588"),
        lambda: rknn.load_onnx(str(fixed(model))),
        lambda: rknn.build(do_quantization=int8, dataset=str(listed)),
        rknn.init_runtime,
    )
    for step in steps:
        if step():
            raise RuntimeError(f"the toolkit stopped; its log is in {FOLDER}")
    found = [rknn.inference([image[None].transpose(0, 2, 3, 1)], data_format="nhwc")[0].reshape(1, -1) for image in x]
    rknn.release()
    return np.concatenate(found)


def main(found: Report) -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for net in nets("resnet20", "resnet8", "resnet18w16", "mobilenet_v2", "digits_resnet", "digits_mobilenet_v2"):
        before, original = tried(net, net.path)
        after, rewritten = tried(net, net.rewrite("--target", "rknn"))
        found.row(net.name, "--target rknn", before, after, before=original, after=rewritten)
        found.claim(rewritten["other"] <= 0.05 * IMAGES, f"{net.name}: int8 gives the same classes: {after}")
        if "mobilenet" in net.name:
            # Why the target has no bounds of carried channels.
            bounded, figures = tried(net, net.rewrite("--carry", "conv"))
            x, expected = net.images(30)[0], net.outputs(30)
            with contextlib.chdir(FOLDER), printed(FOLDER / "float16.log"):
                whole = compare(expected, outputs(net, net.rewrite("--carry", "conv"), x, int8=False))
            found.row(net.name, "--carry conv", before, f"{bounded}; float16: {whole}", before=original, after=figures)
            found.claim(whole.other == 0, f"{net.name}: float16 gives the same classes: {whole}")
            found.claim(figures["other"] > IMAGES / 2, f"{net.name}: bounds do not survive int8; if they do, the target may have them")
            continue
        found.claim(set(rewritten["not on the NPU"]) == {"Reshape"}, f"{net.name}: all but the last reshape is on the NPU: {after}")
        found.claim(rewritten["internal KiB"] < original["internal KiB"], f"{net.name}: less memory for activations: {before}, {after}")


if __name__ == "__main__":
    with report("rknn", "rknn-toolkit2", "torch") as found:
        main(found)
