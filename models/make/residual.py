"""Blocks that the plain residual algebra covers: convolutions, piecewise linear activations, constant scales."""

from torch import nn
from torch.nn import functional as F

from parts import Residual, conv, conv_bn, net

FAMILIES = {}


def family(build):
    """Registers a function under its own name."""
    FAMILIES[build.__name__] = build
    return build


def basic(inputs, outputs, *, stride=1, act=nn.ReLU, dilation=1, axes=2, shortcut=None):
    """Two 3x3 convolutions; a 1x1 projection where the shape changes and no shortcut is given."""
    branch = nn.Sequential(
        conv_bn(inputs, outputs, stride=stride, dilation=dilation, axes=axes),
        act(),
        conv_bn(outputs, outputs, dilation=dilation, axes=axes),
    )
    if shortcut is None and (stride != 1 or inputs != outputs):
        shortcut = conv_bn(inputs, outputs, 1, stride=stride, axes=axes)
    return Residual(branch, shortcut, act())


def bottleneck(inputs, middle, outputs, *, stride=1, groups=1):
    """1x1 down, 3x3, 1x1 up."""
    branch = nn.Sequential(
        conv_bn(inputs, middle, 1),
        nn.ReLU(),
        conv_bn(middle, middle, stride=stride, groups=groups),
        nn.ReLU(),
        conv_bn(middle, outputs, 1),
    )
    projection = conv_bn(inputs, outputs, 1, stride=stride) if stride != 1 or inputs != outputs else None
    return Residual(branch, projection, nn.ReLU())


def inverted(channels, wide, act):
    """1x1 up, depthwise 3x3, 1x1 down, and nothing behind the sum."""
    return Residual(
        nn.Sequential(
            conv_bn(channels, wide, 1), act(), conv_bn(wide, wide, groups=wide), act(), conv_bn(wide, channels, 1)
        )
    )


class SubsampleAndPad(nn.Module):
    """The shortcut without weights ("option A"): every second pixel, and channels of zeros on both sides."""

    def __init__(self, extra):
        super().__init__()
        self.extra = extra

    def forward(self, x):
        return F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.extra // 2, self.extra - self.extra // 2))


@family
def basic_identity():
    """Two 3x3 convolutions, identity shortcut, ReLU."""
    return net(basic(8, 8), basic(8, 8))


@family
def basic_projection():
    """A strided block whose shortcut is a 1x1 convolution, then an identity block."""
    return net(basic(8, 16, stride=2), basic(16, 16), last=16)


@family
def basic_option_a():
    """A strided block whose shortcut drops pixels and pads channels with zeros."""
    return net(basic(8, 16, stride=2, shortcut=SubsampleAndPad(8)), last=16)


@family
def basic_dilated():
    """3x3 convolutions with dilation 2."""
    return net(basic(8, 8, dilation=2))


@family
def bottleneck_identity():
    """1x1, 3x3, 1x1 with a quarter of the channels inside."""
    return net(bottleneck(16, 4, 16), bottleneck(16, 4, 16), channels=16)


@family
def bottleneck_projection():
    """A strided bottleneck with a projection, then one with identity."""
    return net(bottleneck(8, 8, 32, stride=2), bottleneck(32, 8, 32), last=32)


@family
def grouped_bottleneck():
    """ResNeXt's block, with a projection and without."""
    return net(bottleneck(8, 16, 32, stride=2, groups=4), bottleneck(32, 16, 32, groups=4), last=32)


@family
def inverted_residual_relu():
    """1x1 up, depthwise 3x3, 1x1 down, with ReLU."""
    return net(inverted(8, 32, nn.ReLU), inverted(8, 24, nn.ReLU))


@family
def inverted_residual_relu6():
    """MobileNetV2's block: two with a sum around a strided one without."""
    strided = nn.Sequential(
        conv_bn(8, 32, 1), nn.ReLU6(), conv_bn(32, 32, groups=32, stride=2), nn.ReLU6(), conv_bn(32, 12, 1)
    )
    return net(inverted(8, 32, nn.ReLU6), strided, inverted(12, 48, nn.ReLU6), act=nn.ReLU6, last=12)


@family
def depthwise_first():
    """The branch begins with a depthwise convolution."""
    branch = nn.Sequential(conv_bn(8, 8, groups=8), nn.ReLU(), conv_bn(8, 8, 1))
    return net(Residual(branch, after=nn.ReLU()))


@family
def depthwise_last():
    """The branch ends with a depthwise convolution."""
    branch = nn.Sequential(conv_bn(8, 8, 1), nn.ReLU(), conv_bn(8, 8, groups=8))
    return net(Residual(branch, after=nn.ReLU()))


@family
def depthwise_only():
    """Nothing but depthwise convolutions on the branch, 3x3 and 5x5."""
    branch = nn.Sequential(conv_bn(8, 8, groups=8), nn.ReLU(), conv_bn(8, 8, 5, groups=8))
    return net(Residual(branch, after=nn.ReLU()))


@family
def grouped_ends():
    """Grouped convolutions at both ends, with another number of channels in each group between them."""
    branch = nn.Sequential(
        conv_bn(8, 16, groups=4), nn.ReLU(), conv_bn(16, 8, groups=2), nn.ReLU(), conv_bn(8, 8, groups=4)
    )
    return net(Residual(branch, after=nn.ReLU()))


@family
def single_convolution():
    """Branches of one convolution, beside a projection and beside an identity."""
    return net(Residual(conv_bn(8, 8), conv_bn(8, 8, 1), nn.ReLU()), Residual(conv_bn(8, 8), after=nn.ReLU()))


@family
def leaky_relu():
    """1x1 down, 3x3 up, as in Darknet, but with the activation behind the sum."""
    block = [
        Residual(nn.Sequential(conv_bn(16, 8, 1), nn.LeakyReLU(0.1), conv_bn(8, 16)), after=nn.LeakyReLU(0.1))
        for _ in range(2)
    ]
    return net(*block, channels=16, act=lambda: nn.LeakyReLU(0.1))


@family
def prelu():
    """A slope for every channel."""
    branch = nn.Sequential(conv_bn(8, 12), nn.PReLU(12), conv_bn(12, 8))
    return net(Residual(branch, after=nn.PReLU(8)), act=lambda: nn.PReLU(8))


@family
def scaled_long_skip():
    """EDSR's body: blocks scaled by 0.1, no normalisation, one long skip over all of them."""
    blocks = [Residual(nn.Sequential(conv(8, 8), nn.ReLU(), conv(8, 8)), scale=0.1) for _ in range(2)]
    return nn.Sequential(conv(3, 8), Residual(nn.Sequential(*blocks, conv(8, 8))), conv(8, 3))


@family
def nested_skip():
    """A residual block inside the branch of another."""
    outer = nn.Sequential(conv_bn(8, 12), nn.ReLU(), basic(12, 12), conv_bn(12, 8))
    return net(Residual(outer, after=nn.ReLU()))


@family
def skip_chain():
    """Two blocks in a row under one more skip, where one tensor is the fork of two joins."""
    return net(Residual(nn.Sequential(basic(8, 8), basic(8, 8)), after=nn.ReLU()))


@family
def kernel_shortcut():
    """A strided 3x3 convolution as shortcut."""
    return net(basic(8, 16, stride=2, shortcut=conv_bn(8, 16, 3, stride=2)), last=16)


@family
def grouped_shortcut():
    """A strided, grouped 1x1 convolution as shortcut."""
    return net(basic(8, 16, stride=2, shortcut=conv_bn(8, 16, 1, stride=2, groups=4)), last=16)


@family
def dropout():
    """Dropout and Identity, which do nothing outside training."""
    branch = nn.Sequential(conv_bn(8, 8), nn.ReLU(), nn.Dropout(0.5), conv_bn(8, 8), nn.Identity(), nn.Dropout2d(0.1))
    return net(Residual(branch, after=nn.ReLU()), nn.Dropout(0.2))


@family
def shared_block():
    """One block applied twice: the exporters write its weights once."""
    block = basic(8, 8)
    return net(block, block)


@family
def tapped_branch():
    """The middle of the branch is read again behind the block."""

    class Tapped(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem = nn.Sequential(conv_bn(3, 8), nn.ReLU())
            self.first = nn.Sequential(conv_bn(8, 12), nn.ReLU())
            self.second = conv_bn(12, 8)
            self.side = conv(12, 4, 1)
            self.head = conv(8, 4, 1)

        def forward(self, x):
            x = self.stem(x)
            middle = self.first(x)
            return self.head(F.relu(self.second(middle) + x)) * self.side(middle)

    return Tapped()


@family
def batch_norm():
    """Exported so that every BatchNormalization stays a node."""
    return net(basic(8, 8), basic(8, 16, stride=2), last=16)


@family
def conv_1d():
    """Basic blocks over one spatial axis, with identity and with projection."""
    return net(basic(8, 8, axes=1), basic(8, 16, stride=2, axes=1), axes=1, last=16)


@family
def conv_3d():
    """Basic blocks over three spatial axes, with identity and with projection."""
    return net(basic(4, 4, axes=3), basic(4, 8, stride=2, axes=3), channels=4, axes=3, last=8)
