"""Writes `models/frameworks/*.chainer.onnx`: a Chainer network through onnx-chainer, which lists every weight as an input of the graph.

Usage: python models/make/frameworks/chainer_nets.py      (requirements-chainer.txt, installed with `pip install --no-deps`)
"""

import zlib

import chainer
import chainer.functions as F
import chainer.links as L
import numpy
import onnx
import onnx_chainer
from parts import FOLDER, check, randomised

# As while every initializer had to be an input.
OPSET, IR = 9, 3


class Normed(chainer.Chain):
    def __init__(self, inputs, outputs, kernel=3, stride=1):
        super().__init__()
        with self.init_scope():
            self.conv = L.Convolution2D(inputs, outputs, kernel, stride, kernel // 2, nobias=True)
            self.norm = L.BatchNormalization(outputs)

    def forward(self, x):
        return self.norm(self.conv(x))


class ResNet(chainer.Chain):
    """ResNet: an identity block, and one with stride 2 and a projection."""

    def __init__(self):
        super().__init__()
        with self.init_scope():
            self.stem = Normed(3, 8)
            self.first, self.second = Normed(8, 8), Normed(8, 8)
            self.third, self.fourth = Normed(8, 16, stride=2), Normed(16, 16)
            self.projection = Normed(8, 16, 1, 2)
            self.head = L.Linear(16, 10)

    def forward(self, x):
        x = F.relu(self.stem(x))
        x = F.relu(self.second(F.relu(self.first(x))) + x)
        x = F.relu(self.fourth(F.relu(self.third(x))) + self.projection(x))
        return self.head(F.average_pooling_2d(x, 8))


def main():
    model = ResNet()
    parameters = [p for _, p in sorted(model.namedparams())]
    # Kernels are [out, in, ...] here.
    turned = [numpy.moveaxis(p.array, (0, 1), (-1, -2)) if p.ndim == 4 else p.array for p in parameters]
    for p, value in zip(parameters, randomised(turned, zlib.crc32(b"chainer")), strict=True):
        p.array[...] = numpy.moveaxis(value, (-1, -2), (0, 1)) if p.ndim == 4 else value
    path = FOLDER / "resnet.chainer.onnx"
    sample = numpy.random.default_rng(1).normal(size=(2, 3, 16, 16)).astype(numpy.float32)
    with chainer.using_config("train", False):
        file = onnx_chainer.export(model, sample, opset_version=OPSET)
        wanted = model(sample).array
    file.ir_version = IR
    onnx.save(file, path)
    check(path, sample, wanted)


if __name__ == "__main__":
    main()
