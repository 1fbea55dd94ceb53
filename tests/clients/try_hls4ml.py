"""hls4ml, `io_stream`, Vitis backend: the dataflow design of an FPGA, emulated in C++ with fixed-point numbers.

In a stream every shortcut is a copy of its tensor and a FIFO that holds it while the branch computes. hls4ml does not take what qonnx
makes of average pools over a whole map, hence `--fold-head` for both files.
"""

import re
import shutil
from pathlib import Path

import hls4ml
import numpy as np
import onnx
from onnx import TensorProto, helper
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.transformation.channels_last import ConvertToChannelsLastAndClean
from qonnx.transformation.general import GiveReadableTensorNames, GiveUniqueNodeNames
from qonnx.util.cleanup import cleanup_model

from common import WORK, Report, compare, fixed, nets, report, run

IMAGES, PRECISION = 20, "fixed<24,12>"


def streamed(model: Path) -> ModelWrapper:
    """Channels last, up to the last convolution: what is left of it is 1x1."""
    wrapped = cleanup_model(ModelWrapper(onnx.load(fixed(model))))
    wrapped = wrapped.transform(ConvertToChannelsLastAndClean(make_input_channels_last=True))
    graph = wrapped.graph
    while graph.node[-1].op_type in ("Transpose", "Flatten", "Reshape"):
        graph.node.pop()
    last = graph.node[-1].output[0]
    classes = graph.output[0].type.tensor_type.shape.dim[-1].dim_value
    for value in [value for value in graph.value_info if value.name == last]:
        graph.value_info.remove(value)
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info(last, TensorProto.FLOAT, [1, 1, 1, classes]))
    return wrapped.transform(GiveUniqueNodeNames()).transform(GiveReadableTensorNames())


def design(model: Path) -> tuple[object, Path]:
    folder = WORK / "hls4ml" / model.stem
    shutil.rmtree(folder, ignore_errors=True)
    wrapped = streamed(model)
    config = hls4ml.utils.config.config_from_onnx_model(wrapped, granularity="name", backend="Vitis", default_precision=PRECISION)
    config["Model"] |= {"Strategy": "Resource", "ReuseFactor": 64}
    made = hls4ml.converters.convert_from_onnx_model(
        wrapped, output_dir=str(folder), io_type="io_stream", backend="Vitis", hls_config=config
    )
    made.compile()
    return made, folder


def fifos(folder: Path) -> tuple[int, int, int]:
    """Streams, Kibit of all FIFOs, and Kibit of those that hold a copy."""
    types = re.findall(r"typedef nnet::array<ap_fixed<(\d+),[^>]*>,\s*([\d*]+)>\s*(\w+);", (folder / "firmware/defines.h").read_text())
    width = {name: int(bits) * int(np.prod([int(n) for n in count.split("*")])) for bits, count, name in types}
    source = (folder / "firmware/myproject.cpp").read_text()
    streams = re.findall(r"hls::stream<(\w+)>\s+(\w+)\(\"[^\"]*\"\);\s*#pragma HLS STREAM variable=\2 depth=(\d+)", source)
    size = {name: width[kind] * int(depth) // 1024 for kind, name, depth in streams if kind in width}
    return len(size), sum(size.values()), sum(bits for name, bits in size.items() if "cpy" in name)


def main(found: Report) -> None:
    for net in nets("digits_resnet"):
        x, _ = net.images(IMAGES)
        seen = []
        for options in (["--skip", "residual", "--fold-head"], ["--carry", "conv", "--fold-head"]):
            model = net.rewrite(*options)
            made, folder = design(model)
            gap = compare(run(net.path, x), made.predict(np.ascontiguousarray(x.transpose(0, 2, 3, 1))).reshape(IMAGES, -1))
            kinds = [type(layer).__name__ for layer in made.get_layers()]
            seen.append((sum("Merge" in kind for kind in kinds), *fifos(folder), gap))
        words = [
            f"{merges} merges, {streams} streams, FIFOs {bits:,} Kibit, {copies:,} of them for skips; {gap}"
            for merges, streams, bits, copies, gap in seen
        ]
        found.claim(seen[1][0] == 0 and seen[1][3] == 0, f"{net.name}: no merge and no copy is left: {words[1]}")
        found.claim(seen[1][4].other <= 1, f"{net.name}: the same classes: {words[1]}")
        found.row(net.name, "--carry conv --fold-head", *words)


if __name__ == "__main__":
    with report("hls4ml", "hls4ml", "qonnx") as found:
        main(found)
