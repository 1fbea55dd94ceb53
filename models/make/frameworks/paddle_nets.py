"""Writes `models/frameworks/*.paddle2onnx.onnx`: PaddlePaddle networks through `paddle.onnx.export`.

Usage: python models/make/frameworks/paddle_nets.py      (requirements-paddle2onnx.txt)
"""

import zlib

import numpy
import paddle
from paddle import nn
from parts import FOLDER, check, randomised


class Normed(nn.Sequential):
    def __init__(self, inputs, outputs, kernel=3, stride=1, groups=1, act=None):
        conv = nn.Conv2D(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias_attr=False)
        super().__init__(conv, nn.BatchNorm2D(outputs), *([act()] if act else []))


class ResNet(nn.Layer):
    """ResNet: an identity block, and one with stride 2 and a projection behind an average pool (ResNet-vd)."""

    def __init__(self):
        super().__init__()
        self.stem = Normed(3, 8, act=nn.ReLU)
        self.identity = nn.Sequential(Normed(8, 8, act=nn.ReLU), Normed(8, 8))
        self.strided = nn.Sequential(Normed(8, 16, stride=2, act=nn.ReLU), Normed(16, 16))
        self.projection = nn.Sequential(nn.AvgPool2D(2, 2), Normed(8, 16, 1))
        self.head = nn.Sequential(nn.AdaptiveAvgPool2D(1), nn.Flatten(), nn.Linear(16, 10))

    def forward(self, x):
        x = self.stem(x)
        x = nn.functional.relu(self.identity(x) + x)
        return self.head(nn.functional.relu(self.strided(x) + self.projection(x)))


class MobileNetV3(nn.Layer):
    """MobileNetV3, as PaddleOCR has it: an inverted residual block with hard swish and squeeze-and-excitation."""

    def __init__(self):
        super().__init__()
        self.stem = Normed(3, 8, act=nn.Hardswish)
        self.wide = nn.Sequential(Normed(8, 24, 1, act=nn.Hardswish), Normed(24, 24, groups=24, act=nn.Hardswish))
        self.gate = nn.Sequential(nn.AdaptiveAvgPool2D(1), nn.Conv2D(24, 8, 1), nn.ReLU(), nn.Conv2D(8, 24, 1), nn.Hardsigmoid())
        self.narrow = Normed(24, 8, 1)
        self.head = nn.Sequential(nn.AdaptiveAvgPool2D(1), nn.Flatten(), nn.Linear(8, 10))

    def forward(self, x):
        x = self.stem(x)
        y = self.wide(x)
        return self.head(self.narrow(y * self.gate(y)) + x)


def main():
    for name, build in (("resnet_vd", ResNet), ("mobilenet_v3", MobileNetV3)):
        paddle.seed(0)
        model = build()
        model.eval()
        names, tensors = zip(*model.state_dict().items(), strict=True)
        # Kernels are [out, in, ...] here.
        turned = [numpy.moveaxis(t.numpy(), (0, 1), (-1, -2)) if t.ndim == 4 else t.numpy() for t in tensors]
        values = randomised(turned, zlib.crc32(name.encode()))
        values = [numpy.moveaxis(v, (-1, -2), (0, 1)) if v.ndim == 4 else v for v in values]
        # A variance is none below 0.
        values = [numpy.abs(v) + 0.5 if n.endswith("_variance") else v for n, v in zip(names, values, strict=True)]
        model.set_state_dict({n: numpy.ascontiguousarray(v) for n, v in zip(names, values, strict=True)})
        path = FOLDER / f"{name}.paddle2onnx.onnx"
        image = paddle.static.InputSpec([None, 3, 16, 16], "float32", "input")
        paddle.onnx.export(model, str(path.with_suffix("")), input_spec=[image], opset_version=17)
        sample = numpy.random.default_rng(1).normal(size=(2, 3, 16, 16)).astype(numpy.float32)
        check(path, sample, model(paddle.to_tensor(sample)).numpy())


if __name__ == "__main__":
    main()
