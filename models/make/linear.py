"""Blocks in training form whose parallel linear branches fold into one convolution."""

import torch
from torch import nn
from torch.nn import functional

from parts import Residual, Sum, conv, conv_bn, net

FAMILIES = {}


def family(build):
    """Registers a function under its own name."""
    FAMILIES[build.__name__] = build
    return build


def repvgg(inputs, outputs, *, stride=1, after=nn.ReLU):
    """3x3, 1x1 and, where the shape stays, a batch normalisation on its own."""
    branches = [conv_bn(inputs, outputs, stride=stride), conv_bn(inputs, outputs, 1, stride=stride)]
    if stride == 1 and inputs == outputs:
        branches.append(nn.BatchNorm2d(inputs))
    return Sum(*branches, after=after())


@family
def repvgg_block():
    """RepVGG in training form: 3x3, 1x1 and identity, each with its normalisation; then a strided block."""
    return net(repvgg(8, 8), repvgg(8, 16, stride=2), last=16)


@family
def asymmetric():
    """ACNet: 3x3, 3x1 and 1x3."""
    return net(Sum(conv_bn(8, 8), conv_bn(8, 8, (3, 1)), conv_bn(8, 8, (1, 3)), after=nn.ReLU()))


@family
def mobileone_block():
    """Depthwise branches, then pointwise branches, each several times over."""
    depthwise = Sum(
        *[conv_bn(8, 8, groups=8) for _ in range(3)], conv_bn(8, 8, 1, groups=8), nn.BatchNorm2d(8), after=nn.ReLU()
    )
    pointwise = Sum(*[conv_bn(8, 8, 1) for _ in range(3)], nn.BatchNorm2d(8), after=nn.ReLU())
    return net(depthwise, pointwise)


@family
def diverse_branches():
    """DBB: 3x3 beside 1x1, beside 1x1 then 3x3, beside 1x1 then average pooling."""
    # No bias between the two of a pair: the padding of the second would have to be that bias.
    pair = nn.Sequential(conv(8, 12, 1, bias=False), conv(12, 8, bias=False), nn.BatchNorm2d(8))
    pooled = nn.Sequential(conv(8, 8, 1, bias=False), nn.AvgPool2d(3, 1, 1), nn.BatchNorm2d(8))
    return net(Sum(conv_bn(8, 8), conv_bn(8, 8, 1), pair, pooled, after=nn.ReLU()))


class Bordered(nn.Module):
    """A 1x1 convolution, and around what it gives a border of what it gives of zeros, as the authors of DBB and of ECBSR write it."""

    def __init__(self, inputs, outputs, norm=False):
        super().__init__()
        self.conv = conv(inputs, outputs, 1, bias=not norm)
        self.norm = nn.BatchNorm2d(outputs) if norm else None

    def forward(self, x):
        y, border = self.conv(x), self.conv.bias
        if self.norm is not None:
            n = self.norm
            y, border = n(y), n.bias.detach() - n.running_mean * n.weight.detach() / torch.sqrt(n.running_var + n.eps)
        y, border = functional.pad(y, (1, 1, 1, 1)), border.view(1, -1, 1, 1)
        y[:, :, 0:1, :] = border
        y[:, :, -1:, :] = border
        y[:, :, :, 0:1] = border
        y[:, :, :, -1:] = border
        return y


class Sobel(nn.Module):
    """A fixed window for every channel, scaled and shifted: a branch of ECBSR."""

    def __init__(self, channels):
        super().__init__()
        self.scale, self.bias = nn.Parameter(torch.randn(channels, 1, 1, 1)), nn.Parameter(torch.randn(channels))
        self.register_buffer("mask", torch.tensor([[1.0, 0, -1], [2, 0, -2], [1, 0, -1]]).expand(channels, 1, 3, 3).clone())

    def forward(self, x):
        return functional.conv2d(x, self.scale * self.mask, self.bias, groups=len(self.bias))


@family
def bordered_branches():
    """DBB with borders of its bias, at stride 2, then ECBSR with a fixed window: 1x1, border, window."""
    unpadded = nn.Sequential(nn.Conv2d(8, 8, 3, 2, bias=False), nn.BatchNorm2d(8))
    pooled = nn.Sequential(Bordered(8, 8, norm=True), nn.AvgPool2d(3, 2), nn.BatchNorm2d(8))
    diverse = Sum(conv_bn(8, 8, stride=2), nn.Sequential(Bordered(8, 8, norm=True), unpadded), pooled, after=nn.ReLU())
    wide = nn.Sequential(Bordered(8, 12), nn.Conv2d(12, 8, 3))
    return net(diverse, Residual(Sum(conv(8, 8), wide, nn.Sequential(Bordered(8, 8), Sobel(8))), after=nn.ReLU()))


@family
def residual_of_branches():
    """A residual block whose convolutions are themselves several branches."""
    branch = nn.Sequential(repvgg(8, 8), repvgg(8, 8, after=nn.Identity))
    return net(Residual(branch, after=nn.ReLU()))
