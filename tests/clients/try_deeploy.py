"""Deeploy, a compiler of the PULP platform, for its generic target: plain C in float32, compiled for and run on this machine.

The package comes without the kernels that its C calls. Those of this file stand in for them, so what is tried is Deeploy's own reading
of the network, its order and its buffers: each is allocated before the node that writes it and freed behind the last that reads it.
"""

import contextlib
import io
import logging
import shutil
import subprocess
from pathlib import Path

import numpy as np
import onnx
import onnx_graphsurgeon as gs
from Deeploy.AbstractDataTypes import PointerClass
from Deeploy.CommonExtensions.DataTypes import float32_t
from Deeploy.Targets.Generic.Deployer import GenericDeployer
from Deeploy.Targets.Generic.Platform import GenericOptimizer, GenericPlatform

from common import WORK, Report, attempt, compare, fixed, nets, report, run

IMAGES = 20
logging.disable(logging.ERROR)
KERNELS = r"""
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <stdbool.h>
typedef float float32_t;
#define BEGIN_SINGLE_CORE {
#define END_SINGLE_CORE }
#define SINGLE_CORE

static size_t held, most;
static void *deeploy_malloc(size_t bytes) {
    size_t *block = malloc(bytes + sizeof(double[2]));
    *block = bytes;
    held += bytes;
    if (held > most) most = held;
    return (char *)block + sizeof(double[2]);
}
static void deeploy_free(void *given) {
    size_t *block = (size_t *)((char *)given - sizeof(double[2]));
    held -= *block;
    free(block);
}

static void Conv2d_fp32_fp32_fp32_NCHW(const float *x, uint32_t channels, uint32_t height, uint32_t width, const float *weight,
    uint32_t filters, uint32_t rows, uint32_t columns, uint32_t down, uint32_t right, const float *bias, int biased, float *y) {
    for (uint32_t f = 0; f < filters; f++)
        for (uint32_t i = 0; i + rows <= height; i += down)
            for (uint32_t j = 0; j + columns <= width; j += right) {
                float sum = biased ? bias[f] : 0;
                for (uint32_t c = 0; c < channels; c++)
                    for (uint32_t p = 0; p < rows; p++)
                        for (uint32_t q = 0; q < columns; q++)
                            sum += x[(c * height + i + p) * width + j + q] * weight[((f * channels + c) * rows + p) * columns + q];
                *y++ = sum;
            }
}
static void Relu_fp32_fp32(const float *x, float *y, uint32_t size) {
    for (uint32_t i = 0; i < size; i++) y[i] = x[i] > 0 ? x[i] : 0;
}
static void Gemm_fp32_fp32_fp32_fp32(const float *a, const float *b, const float *c, float *y, uint32_t m, uint32_t n, uint32_t o,
    uint32_t a_turned, uint32_t b_turned) {
    for (uint32_t i = 0; i < m; i++)
        for (uint32_t j = 0; j < o; j++) {
            float sum = c[i * o + j];
            for (uint32_t k = 0; k < n; k++) sum += (a_turned ? a[k * m + i] : a[i * n + k]) * (b_turned ? b[j * n + k] : b[k * o + j]);
            y[i * o + j] = sum;
        }
}
"""
MAIN = r"""
int main(void) {
    %(allocate)s
    size_t once = 0;
    while (fread(DeeployNetwork_input_0, 1, DeeployNetwork_inputs_bytes[0], stdin) == DeeployNetwork_inputs_bytes[0]) {
        infer();
        // A last node that only renames its input leaves the output where that was, and that block is never freed.
        fwrite(DeeployNetwork_output_0, 1, DeeployNetwork_outputs_bytes[0], stdout);
        if (!once) once = most;
    }
    fprintf(stderr, "%%zu", once);
    return 0;
}
"""


def program(model: Path) -> Path:
    """The network as a program: float32 images in, results out, and on the error stream the most bytes that it held at once."""
    folder = WORK / "deeploy" / model.stem
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    graph = gs.import_onnx(onnx.shape_inference.infer_shapes(onnx.load(fixed(model))))
    with contextlib.redirect_stdout(io.StringIO()):
        deployer = GenericDeployer(
            graph, GenericPlatform(), {"input_0": PointerClass(float32_t)}, GenericOptimizer,
            scheduler=lambda graph: list(graph.nodes), default_channels_first=True,
            deeployStateDir=str(folder), inputOffsets={"input_0": 0},
        )  # fmt: skip
        body = deployer.generateFunction()
    parts = [
        KERNELS, deployer.generateBufferInitializationCode(), deployer.generateIOBufferInitializationCode(),
        deployer.generateGlobalDefinitionCode(), "static void infer(void) {", deployer.generateInferenceInitializationCode(), body, "}",
        MAIN % {"allocate": deployer.generateBufferAllocationCode()},
    ]  # fmt: skip
    source, out = folder / "network.c", folder / "network"
    source.write_text("\n".join(parts))
    done = subprocess.run(["cc", "-O2", source, "-o", out], capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(next((line for line in done.stderr.splitlines() if "error" in line), "cc failed"))
    return out


def outputs(program: Path, x: np.ndarray, classes: int) -> tuple[np.ndarray, int]:
    """Results, and the most bytes held at once beside weights, of input and output too."""
    done = subprocess.run([program], input=np.ascontiguousarray(x, np.float32).tobytes(), capture_output=True, check=True)
    return np.frombuffer(done.stdout, np.float32).reshape(len(x), classes), int(done.stderr)


def main(found: Report) -> None:
    for net in nets("digits_resnet", "resnet18w16"):
        x, _ = net.images(IMAGES)
        expected = run(net.path, x)
        _, refused = attempt(program, net.path)
        seen = []
        for options in (["--skip", "residual", "--fold-head"], ["--carry", "conv", "--fold-head"]):
            result, held = outputs(program(net.rewrite(*options)), x, expected.shape[1])
            gap = compare(expected, result)
            found.claim(gap.other == 0 and gap.error < 1e-4, f"{net.name} {' '.join(options)} computes the same: {gap}")
            seen.append((f"{gap}; at most {held / 1024:.0f} KiB of activations at once", held))
        found.claim("GlobalAveragePool" in refused, f"{net.name}: Deeploy does not take the file as it is: {refused}")
        found.row(net.name, "--carry conv --fold-head", seen[0][0], seen[1][0], refused=refused, before=seen[0][1], after=seen[1][1])


if __name__ == "__main__":
    with report("deeploy", "deeploy-pulp") as found:
        main(found)
