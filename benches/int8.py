"""Measures what 8 bits cost trained networks before and after rewriting: static quantisation (QDQ) by ONNX Runtime, top-1.

    python benches/int8.py                      # the networks of the corpus beside the checkout, or those of models/
    python benches/int8.py --networks resnet20 --images 500

Prints a Markdown table. Weights are symmetric int8, per tensor or per channel; activations are per tensor in both, uint8, by
their smallest and largest value on the calibration images. Needs the packages of tests/clients/requirements/openvino.txt.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests/clients"))
from common import WORK, Net, accuracy, nets, run

NETWORKS = ("resnet20", "resnet32", "resnet8", "resnet18w16", "mobilenet_v2", "digits_resnet", "digits_mobilenet_v2")
FORMS = {"original": None, "rewritten": (), "`--carry conv`": ("--carry", "conv")}


def main() -> None:
    args = arguments()
    print(f"ONNX Runtime {ort.__version__}, {args.calibration} images for calibration, top-1 on up to {args.images} others.\n")
    print("| network | file | float32 | int8, per tensor | same class as float32 | int8, per channel | same class as float32 |")
    print("|---|---|--:|--:|--:|--:|--:|")
    for net in nets(*args.networks):
        seen: list[bytes] = []
        for form, options in FORMS.items():
            model = net.path if options is None else net.rewrite(*options)
            graph = onnx.load(model).graph.SerializeToString()
            # Two ways of rewriting may come to the same.
            if graph not in seen:
                print(row(net, form, model, args), flush=True)
            seen.append(graph)


def row(net: Net, form: str, model: Path, args: argparse.Namespace) -> str:
    x, classes = net.images(args.images)
    whole = run(model, x)
    cells = [net.name, form, f"{accuracy(whole, classes):.1%}"]
    for per_channel in (False, True):
        found = run(quantized(net, model, args.calibration, per_channel), x)
        cells += [f"{accuracy(found, classes):.1%}", f"{accuracy(found, whole.argmax(1)):.1%}"]
    return "| " + " | ".join(cells) + " |"


class Images(CalibrationDataReader):
    def __init__(self, name: str, x: np.ndarray) -> None:
        self.feeds = iter([{name: x[i : i + 1]} for i in range(len(x))])

    def get_next(self) -> dict | None:
        return next(self.feeds, None)


def quantized(net: Net, model: Path, images: int, per_channel: bool) -> Path:
    prepared, out = WORK / "int8.prepared.onnx", WORK / "int8.onnx"
    WORK.mkdir(parents=True, exist_ok=True)
    quant_pre_process(str(model), str(prepared), skip_symbolic_shape=True)
    name = ort.InferenceSession(str(prepared), providers=["CPUExecutionProvider"]).get_inputs()[0].name
    quantize_static(
        str(prepared), str(out), Images(name, net.calibration(images)), quant_format=QuantFormat.QDQ,
        per_channel=per_channel, activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
    )  # fmt: skip
    return out


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", default=NETWORKS, choices=NETWORKS)
    parser.add_argument("--images", type=int, default=2000)
    parser.add_argument("--calibration", type=int, default=256)
    return parser.parse_args()


if __name__ == "__main__":
    main()
