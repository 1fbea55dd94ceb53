"""Blocks that need more than the plain algebra: gates, smooth activations, split and pooled channels, tails."""

import torch
from torch import nn
from torch.nn import functional as F

from parts import Gate, Residual, conv, conv_bn, net

FAMILIES = {}


def family(build):
    """Registers a function under its own name."""
    FAMILIES[build.__name__] = build
    return build


def inverted(act, gate=False, wide=24):
    """1x1 up, depthwise 3x3, perhaps a gate, 1x1 down."""
    middle = [Gate(wide, 4)] if gate else []
    return Residual(
        nn.Sequential(conv_bn(8, wide, 1), act(), conv_bn(wide, wide, groups=wide), act(), *middle, conv_bn(wide, 8, 1))
    )


@family
def preactivation():
    """Batch normalisation and ReLU in front of each convolution; the sum is left bare."""

    def block():
        return Residual(
            nn.Sequential(
                nn.BatchNorm2d(8), nn.ReLU(), conv(8, 8, bias=False), nn.BatchNorm2d(8), nn.ReLU(), conv(8, 8)
            )
        )

    return net(block(), block(), nn.BatchNorm2d(8), nn.ReLU())


@family
def batch_norm_first():
    """A batch normalisation, but no activation, in front of the first convolution."""
    branch = nn.Sequential(nn.BatchNorm2d(8), conv_bn(8, 8), nn.PReLU(8), conv_bn(8, 8))
    return net(Residual(branch))


@family
def squeeze_excite():
    """The gate stands between the activation and the last convolution, so the gate has readers on the branch only."""
    branch = nn.Sequential(conv_bn(8, 16, 1), nn.ReLU(), Gate(16, 4), conv_bn(16, 8))
    return net(Residual(branch, after=nn.ReLU()))


@family
def squeeze_excite_tail():
    """SE-ResNet: the gate stands behind the last convolution."""
    branch = nn.Sequential(conv_bn(8, 8), nn.ReLU(), conv_bn(8, 8), Gate(8, 4))
    return net(Residual(branch, after=nn.ReLU()))


@family
def activation_tail():
    """Darknet-53: an activation behind the last convolution, none behind the sum."""
    branch = nn.Sequential(conv_bn(8, 4, 1), nn.LeakyReLU(0.1), conv_bn(4, 8), nn.LeakyReLU(0.1))
    return net(Residual(branch), Residual(conv_bn(8, 8)), act=lambda: nn.LeakyReLU(0.1))


@family
def inverted_residual_silu():
    """EfficientNet's blocks: SiLU, with squeeze-excite and without."""
    return net(inverted(nn.SiLU, gate=True), inverted(nn.SiLU), act=nn.SiLU)


@family
def inverted_residual_hardswish():
    """MobileNetV3's activation in inverted residual blocks."""
    return net(inverted(nn.Hardswish), inverted(nn.Hardswish), act=nn.Hardswish)


@family
def gelu():
    """The exact GELU, written with Erf."""
    return net(inverted(nn.GELU), act=nn.GELU)


@family
def gelu_tanh():
    """The GELU that is written with Tanh."""
    return net(inverted(lambda: nn.GELU(approximate="tanh")), act=nn.ReLU)


@family
def mish():
    """Mish in an inverted residual block."""
    return net(inverted(nn.Mish), act=nn.Mish)


@family
def elu():
    """ELU, which has no gate and no slope: only a choice per channel passes it."""
    branch = nn.Sequential(conv_bn(8, 8), nn.ELU(), conv_bn(8, 8))
    return net(Residual(branch, after=nn.ELU()), act=nn.ELU)


class Ladder(nn.Module):
    """Res2Net's middle: four slices, each convolved together with the result of the one before."""

    def __init__(self, channels):
        super().__init__()
        self.steps = nn.ModuleList(nn.Sequential(conv_bn(channels // 4, channels // 4), nn.ReLU()) for _ in range(3))

    def forward(self, x):
        first, *rest = torch.chunk(x, 4, dim=1)
        done = [first]
        for step, part in zip(self.steps, rest):
            done.append(step(part if len(done) == 1 else part + done[-1]))
        return torch.cat(done, 1)


@family
def split_concat():
    """Res2Net's block."""
    branch = nn.Sequential(conv_bn(8, 16, 1), nn.ReLU(), Ladder(16), conv_bn(16, 8, 1))
    return net(Residual(branch, after=nn.ReLU()))


class Ghost(nn.Module):
    """Half the channels by a 1x1 convolution, the other half from them by a depthwise one."""

    def __init__(self, inputs, outputs, act):
        super().__init__()
        half = outputs // 2
        self.primary = nn.Sequential(conv_bn(inputs, half, 1), act())
        self.cheap = nn.Sequential(conv_bn(half, half, groups=half), act())

    def forward(self, x):
        x = self.primary(x)
        return torch.cat([x, self.cheap(x)], 1)


@family
def ghost():
    """GhostNet's block: each half of the channels made from the other."""
    branch = nn.Sequential(Ghost(8, 16, nn.ReLU), Ghost(16, 8, nn.Identity))
    return net(Residual(branch))


@family
def average_pool_shortcut():
    """ResNet-D: the shortcut averages before its 1x1 convolution."""
    branch = nn.Sequential(conv_bn(8, 8, 1), nn.ReLU(), conv_bn(8, 8, stride=2), nn.ReLU(), conv_bn(8, 16, 1))
    shortcut = nn.Sequential(nn.AvgPool2d(2, 2, ceil_mode=True, count_include_pad=False), conv_bn(8, 16, 1))
    return net(Residual(branch, shortcut, nn.ReLU()), last=16)


@family
def max_pool_shortcut():
    """No exact removal: a maximum is not linear."""
    branch = nn.Sequential(conv_bn(8, 8, stride=2), nn.ReLU(), conv_bn(8, 16))
    shortcut = nn.Sequential(nn.MaxPool2d(2, 2), conv_bn(8, 16, 1))
    return net(Residual(branch, shortcut, nn.ReLU()), last=16)


class ChannelNorm(nn.Module):
    """Layer normalisation over the channels of every pixel."""

    def __init__(self, channels):
        super().__init__()
        self.norm = nn.LayerNorm(channels)

    def forward(self, x):
        return self.norm(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


@family
def layer_norm():
    """ConvNeXt's block. No exact removal: the statistics would see the carried channels."""
    branch = nn.Sequential(conv(8, 8, 7, groups=8), ChannelNorm(8), conv(8, 16, 1), nn.GELU(), conv(16, 8, 1))
    return net(Residual(branch))


class Dense(nn.Module):
    """The input and what a convolution makes of it, side by side."""

    def __init__(self):
        super().__init__()
        self.grow = nn.Sequential(conv_bn(8, 8), nn.ReLU())

    def forward(self, x):
        return torch.cat([x, self.grow(x)], 1)


@family
def dense_concat():
    """DenseNet's concatenation instead of a sum: nothing to remove."""
    return net(Dense(), last=16)


class PixelGate(nn.Module):
    """CBAM: a weight for every channel from its mean and its maximum, then one for every pixel from those of its channels."""

    def __init__(self, channels):
        super().__init__()
        self.weights = nn.Sequential(conv(channels, 4, 1), nn.ReLU(), conv(4, channels, 1))
        self.pixels = conv(2, 1, 7, bias=False)

    def forward(self, x):
        mean, largest = F.adaptive_avg_pool2d(x, 1), F.adaptive_max_pool2d(x, 1)
        x = x * torch.sigmoid(self.weights(mean) + self.weights(largest))
        both = torch.cat([x.mean(1, keepdim=True), x.amax(1, keepdim=True)], 1)
        return x * torch.sigmoid(self.pixels(both))


@family
def pixel_gate():
    """CBAM behind the last convolution; then a gate of one channel, by a 1x1 convolution, between two convolutions."""

    class OneChannel(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = conv(16, 1, 1)

        def forward(self, x):
            return x * torch.sigmoid(self.weight(x))

    attended = nn.Sequential(conv_bn(8, 8), nn.ReLU(), conv_bn(8, 8), PixelGate(8))
    gated = nn.Sequential(conv_bn(8, 16, 1), nn.ReLU(), OneChannel(), conv_bn(16, 8))
    return net(Residual(attended, after=nn.ReLU()), Residual(gated))


class ScaledShift(nn.Module):
    """One half of the excitation scales, the other half is added to every pixel."""

    def __init__(self, channels):
        super().__init__()
        self.squeeze = nn.Linear(channels, 4)
        self.excite = nn.Linear(4, 2 * channels)

    def forward(self, x):
        means = F.relu(self.squeeze(x.mean((2, 3))))
        scale, shift = torch.chunk(self.excite(means)[:, :, None, None], 2, dim=1)
        return torch.sigmoid(scale) * x + shift


@family
def gate_with_bias():
    """Lc0's squeeze-excite: a scale and a shift for every channel behind the last convolution."""
    branch = nn.Sequential(conv_bn(8, 8), nn.ReLU(), conv_bn(8, 8), ScaledShift(8))
    return net(Residual(branch, after=nn.ReLU()))
