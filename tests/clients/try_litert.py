"""LiteRT through onnx2tf, float32 and int8; the arena of TensorFlow Lite for Microcontrollers; cycles of an Arm Ethos-U55 by vela.

onnx2tf finds the layout of every operator by trying, and the shortcuts of two of these networks come out wrong: it says nothing.
"""

import csv
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from common import WORK, Report, accuracy, compare, fixed, nets, report, run

IMAGES = 100
# Least number of the images that the conversion of the original gets another class for.
WRONG = {"resnet20": 30, "resnet18w16": 1}
ARENA = """
import sys, numpy
from tflite_micro.python.tflite_micro import runtime
model = runtime.Interpreter.from_file(sys.argv[1], arena_size=int(sys.argv[2]))
about = model.get_input_details(0)
model.set_input(numpy.zeros(about["shape"], about["dtype"]), 0)
model.invoke()
"""


def convert(model: Path, calibration: np.ndarray) -> dict[str, Path]:
    """The float32 and the int8 file that onnx2tf makes."""
    folder = WORK / "litert" / model.stem
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    channels = calibration.shape[1]
    np.save(folder / "calibration.npy", calibration.transpose(0, 2, 3, 1))
    # onnx2tf fetches this sample where it is not there, and needs nothing of it.
    np.save(folder / "calibration_image_sample_data_20x128x128x3_float32.npy", np.zeros((20, 128, 128, 3), np.float32))
    mean, std = (f"[[[{[value] * channels}]]]".replace(" ", "") for value in (0, 1))
    inputs = ["-cind", "input", "calibration.npy", mean, std]
    command = ["onnx2tf", "-i", str(fixed(model)), "-o", "out", "-oiqt", "-qt", "per-channel", *inputs]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=3600, check=False)
    files = {kind: next(folder.glob(f"out/*_{kind}.tflite"), None) for kind in ("float32", "full_integer_quant")}
    if not all(files.values()):
        raise RuntimeError("onnx2tf: " + next((line for line in done.stdout.splitlines() if "ERROR" in line), "no file")[:150])
    return files


def interpret(file: Path, x: np.ndarray) -> np.ndarray:
    model = Interpreter(str(file), num_threads=1)
    model.allocate_tensors()
    taken, given = model.get_input_details()[0], model.get_output_details()[0]
    outputs = []
    for image in x.transpose(0, 2, 3, 1):
        if taken["dtype"] != np.float32:
            scale, zero = taken["quantization"]
            image = np.clip(np.round(image / scale + zero), -128, 127)
        model.set_tensor(taken["index"], image[None].astype(taken["dtype"]))
        model.invoke()
        out = model.get_tensor(given["index"]).astype(np.float32)
        if given["dtype"] != np.float32:
            out = (out - given["quantization"][1]) * given["quantization"][0]
        outputs.append(out.reshape(-1))
    return np.array(outputs)


def arena(file: Path) -> int:
    """KiB of the smallest arena in which TensorFlow Lite for Microcontrollers runs the file."""
    low, high = 0, 4096
    while high - low > 1:
        middle = (low + high) // 2
        done = subprocess.run([sys.executable, "-c", ARENA, file, str(middle * 1024)], capture_output=True, check=False)
        low, high = (low, middle) if done.returncode == 0 else (middle, high)
    return high


def cycles(file: Path) -> int:
    """What vela says of an Ethos-U55 with 128 multipliers."""
    folder = file.parent / "vela"
    command = ["vela", "--accelerator-config", "ethos-u55-128", "--output-dir", folder, file]
    subprocess.run(command, capture_output=True, timeout=600, check=True)
    with next(folder.glob("*summary*.csv")).open() as lines:
        return round(float(list(csv.DictReader(lines))[-1]["cycles_total"]))


def figures(files: dict[str, Path], x: np.ndarray, classes: np.ndarray, expected: np.ndarray) -> dict:
    whole, small = interpret(files["float32"], x), interpret(files["full_integer_quant"], x)
    return {
        "float32": compare(expected, whole),
        "accuracy": accuracy(whole, classes),
        "int8": compare(expected, small),
        "int8 accuracy": accuracy(small, classes),
        "arena": arena(files["full_integer_quant"]),
        "cycles": cycles(files["full_integer_quant"]),
    }


def words(found: dict) -> str:
    return (
        f"float32: {found['float32'].other} of {found['float32'].count} classes differ ({found['accuracy']:.1%} right); "
        f"int8: {found['int8'].other} ({found['int8 accuracy']:.1%}); arena {found['arena']} KiB; "
        f"Ethos-U55 {found['cycles'] / 1e6:.2f} M cycles"
    )


def main(found: Report) -> None:
    for net in nets("resnet20", "resnet18w16") or nets("digits_resnet"):
        (x, classes), calibration = net.images(IMAGES), net.calibration(100)
        expected = run(net.path, x)
        files = (net.path, net.rewrite("--carry", "conv"), net.rewrite("--skip", "residual"))
        before, after, folded = (figures(convert(path, calibration), x, classes, expected) for path in files)
        least = WRONG.get(net.name, 0)
        found.claim(before["float32"].other >= least, f"{net.name}: the original's conversion is wrong: {before['float32']}")
        found.claim(after["float32"].other == 0, f"{net.name}: the chain's is right: {after['float32']}")
        found.claim(after["int8"].other <= 0.06 * IMAGES, f"{net.name}: so is its int8: {after['int8']}")
        figure = {"arena": (before["arena"], after["arena"]), "cycles": (before["cycles"], after["cycles"])}
        found.row(net.name, "--carry conv", words(before), words(after), **figure)
        found.row(net.name, "--skip residual", words(before), words(folded), other=folded["float32"].other)


if __name__ == "__main__":
    with report("litert", "onnx2tf", "ai-edge-litert", "tflite-micro", "ethos-u-vela") as found:
        main(found)
