"""Writes `models/frameworks/*.jax2onnx.onnx`: Flax networks through jax2onnx, whose tensors are channels last.

Usage: python models/make/frameworks/jax_nets.py      (requirements-jax2onnx.txt)
"""

import zlib

import jax
import numpy
from flax import nnx
from jax2onnx import to_onnx
from parts import FOLDER, check, randomised


class Normed(nnx.Module):
    def __init__(self, inputs, outputs, kernel=3, stride=1, groups=1):
        rngs = nnx.Rngs(0)
        self.conv = nnx.Conv(
            inputs, outputs, (kernel, kernel), (stride, stride), feature_group_count=groups, use_bias=False, rngs=rngs
        )
        self.norm = nnx.BatchNorm(outputs, use_running_average=True, rngs=rngs)

    def __call__(self, x):
        return self.norm(self.conv(x))


class ResNet(nnx.Module):
    """ResNet: an identity block, and one with stride 2 and a projection."""

    def __init__(self):
        self.stem = Normed(3, 8)
        self.identity = nnx.List([Normed(8, 8), Normed(8, 8)])
        self.strided = nnx.List([Normed(8, 16, stride=2), Normed(16, 16)])
        self.projection = Normed(8, 16, 1, 2)
        self.head = nnx.Linear(16, 10, rngs=nnx.Rngs(0))

    def __call__(self, x):
        x = nnx.relu(self.stem(x))
        a, b = self.identity
        x = nnx.relu(b(nnx.relu(a(x))) + x)
        a, b = self.strided
        x = nnx.relu(b(nnx.relu(a(x))) + self.projection(x))
        return self.head(x.mean((1, 2)))


class MobileNetV2(nnx.Module):
    """MobileNetV2: two inverted residual blocks with ReLU6."""

    def __init__(self):
        self.stem = Normed(3, 8)
        block = lambda: nnx.List([Normed(8, 24, 1), Normed(24, 24, groups=24), Normed(24, 8, 1)])
        self.blocks = nnx.List([block(), block()])
        self.head = nnx.Linear(8, 10, rngs=nnx.Rngs(0))

    def __call__(self, x):
        x = nnx.relu6(self.stem(x))
        for a, b, c in self.blocks:
            x = x + c(nnx.relu6(b(nnx.relu6(a(x)))))
        return self.head(x.mean((1, 2)))


def main():
    for name, build in (("resnet", ResNet), ("mobilenet_v2", MobileNetV2)):
        model = build()
        graph, state = nnx.split(model)
        leaves, tree = jax.tree.flatten(state)
        leaves = randomised(leaves, zlib.crc32(name.encode()))
        model = nnx.merge(graph, jax.tree.unflatten(tree, leaves))
        path = FOLDER / f"{name}.jax2onnx.onnx"
        to_onnx(model, [("B", 16, 16, 3)], model_name=name, opset=21, return_mode="file", output_path=str(path))
        sample = numpy.random.default_rng(1).normal(size=(2, 16, 16, 3)).astype(numpy.float32)
        check(path, sample, numpy.asarray(model(sample)))


if __name__ == "__main__":
    main()
