"""Blocks that are wired in unusual ways: products, mixtures, shuffled and concatenated channels, other layouts."""

import torch
from torch import nn
from torch.nn import functional as F

from parts import Residual, Sum, conv, conv_bn, net

FAMILIES = {}


def family(build):
    """Registers a function under its own name."""
    FAMILIES[build.__name__] = build
    return build


class NeighbourGate(nn.Module):
    """A weight for every channel from the means of the channels beside it."""

    def __init__(self):
        super().__init__()
        self.mix = conv(1, 1, 3, axes=1, bias=False)

    def forward(self, x):
        means = x.mean((2, 3)).unsqueeze(1)
        return x * torch.sigmoid(self.mix(means)).squeeze(1)[:, :, None, None]


@family
def neighbour_gate():
    """ECA: the gate is a 1-D convolution over the channels."""
    branch = nn.Sequential(conv_bn(8, 8), nn.ReLU(), conv_bn(8, 8), NeighbourGate())
    return net(Residual(branch, after=nn.ReLU()))


class Mixture(nn.Module):
    """A weighted mean of two convolutions, with weights that add up to one for every channel."""

    def __init__(self, channels):
        super().__init__()
        self.paths = nn.ModuleList(nn.Sequential(conv_bn(channels, channels, dilation=d), nn.ReLU()) for d in (1, 2))
        self.choose = nn.Sequential(nn.AdaptiveAvgPool2d(1), conv(channels, 2 * channels, 1))

    def forward(self, x):
        first, second = (path(x) for path in self.paths)
        scores = self.choose(first + second)
        weights = torch.softmax(torch.stack(torch.chunk(scores, 2, 1), 1), 1)
        return first * weights[:, 0] + second * weights[:, 1]


@family
def softmax_mixture():
    """SKNet: two kernels, chosen between by a softmax."""
    branch = nn.Sequential(conv_bn(8, 8, 1), nn.ReLU(), Mixture(8), conv_bn(8, 8, 1))
    return net(Residual(branch, after=nn.ReLU()))


class Product(nn.Module):
    """The product of two 1x1 convolutions, one of them bounded."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.left = conv(inputs, outputs, 1)
        self.right = conv(inputs, outputs, 1)

    def forward(self, x):
        return F.relu6(self.left(x)) * self.right(x)


@family
def product():
    """StarNet: depthwise, then the product of two 1x1 convolutions, then 1x1 and depthwise."""
    branch = nn.Sequential(conv_bn(8, 8, groups=8), Product(8, 16), conv_bn(16, 8, 1), conv(8, 8, groups=8))
    return net(Residual(branch))


@family
def concatenated_fork():
    """The branch concatenates the fork itself with what it made of it, then convolves both."""

    class Beside(nn.Module):
        def __init__(self):
            super().__init__()
            self.made = nn.Sequential(conv_bn(8, 12), nn.ReLU())
            self.last = conv_bn(20, 8)

        def forward(self, x):
            return self.last(torch.cat([x, self.made(x)], 1))

    return net(Residual(Beside(), after=nn.ReLU()))


class Shuffle(nn.Module):
    """Takes the channels of the groups in turn."""

    def __init__(self, groups):
        super().__init__()
        self.groups = groups

    def forward(self, x):
        n, c, h, w = x.shape
        return x.view(n, self.groups, c // self.groups, h, w).transpose(1, 2).reshape(n, c, h, w)


@family
def channel_shuffle():
    """ShuffleNet's first block: grouped 1x1, shuffle, depthwise, grouped 1x1."""
    branch = nn.Sequential(
        conv_bn(8, 16, 1, groups=2),
        nn.ReLU(),
        Shuffle(2),
        conv_bn(16, 16, groups=16),
        conv_bn(16, 8, 1, groups=2),
    )
    return net(Residual(branch, after=nn.ReLU()))


class Causal(nn.Module):
    """A dilated 1-D convolution that never looks ahead: padded on both sides, cut behind."""

    def __init__(self, channels, dilation):
        super().__init__()
        self.extra = 2 * dilation
        self.conv = nn.Conv1d(channels, channels, 3, padding=self.extra, dilation=dilation)

    def forward(self, x):
        return self.conv(x)[:, :, : -self.extra]


@family
def causal():
    """TCN: causal 1-D convolutions."""
    branch = nn.Sequential(Causal(8, 2), nn.ReLU(), Causal(8, 2))
    return net(Residual(branch, after=nn.ReLU()), axes=1)


class PerPixel(nn.Module):
    """A linear layer at every pixel, by way of channels last."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)

    def forward(self, x):
        return self.linear(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


@family
def linear_per_pixel():
    """MatMul between transpositions in the place of 1x1 convolutions."""
    branch = nn.Sequential(PerPixel(8, 16), nn.ReLU(), PerPixel(16, 8))
    return net(Residual(branch, after=nn.ReLU()))


@family
def separable_shortcut():
    """GhostNet's strided block: the shortcut is depthwise 3x3, then 1x1."""
    branch = nn.Sequential(conv_bn(8, 16, 1), nn.ReLU(), conv_bn(16, 16, stride=2, groups=16), conv_bn(16, 12, 1))
    shortcut = nn.Sequential(conv_bn(8, 8, stride=2, groups=8), conv_bn(8, 12, 1))
    return net(Residual(branch, shortcut), last=12)


@family
def odd_average_pool():
    """ResNet-D's shortcut on an image of odd size, where its borders differ from any convolution's."""
    branch = nn.Sequential(conv_bn(8, 8, 1), nn.ReLU(), conv_bn(8, 8, stride=2), nn.ReLU(), conv_bn(8, 16, 1))
    shortcut = nn.Sequential(nn.AvgPool2d(2, 2, ceil_mode=True, count_include_pad=False), conv_bn(8, 16, 1))
    return net(Residual(branch, shortcut, nn.ReLU()), last=16)


@family
def two_branches():
    """Two non-linear branches and the identity: a join of two sides neither of which is linear."""
    left = nn.Sequential(conv_bn(8, 8), nn.ReLU(), conv_bn(8, 8))
    right = nn.Sequential(conv_bn(8, 8, 1), nn.ReLU(), conv_bn(8, 8, 1))
    return net(Sum(nn.Identity(), left, right, after=nn.ReLU()))


@family
def group_norm():
    """Group normalisation on the branch. No exact removal: the statistics would see the carried channels."""
    branch = nn.Sequential(conv(8, 8), nn.GroupNorm(2, 8), nn.ReLU(), conv(8, 8))
    return net(Residual(branch, after=nn.ReLU()))
