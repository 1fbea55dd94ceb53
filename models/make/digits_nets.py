"""Two small classifiers of 8x8 digits."""

from torch import nn

from parts import Residual, conv_bn
from residual import basic

CLASSES = 10


def resnet():
    """Five basic blocks in two stages: identity and projection shortcuts."""
    return nn.Sequential(
        conv_bn(1, 16),
        nn.ReLU(),
        basic(16, 16),
        basic(16, 16),
        basic(16, 32, stride=2),
        basic(32, 32),
        basic(32, 32),
        *head(32),
    )


def mobilenet_v2():
    """Inverted residual blocks with ReLU6: with a sum where the shape stays, without one where it changes."""
    return nn.Sequential(
        *clipped(1, 16),
        block(16, 16, expand=1),
        block(16, 24, stride=2),
        block(24, 24),
        block(24, 32),
        block(32, 32),
        block(32, 32),
        *clipped(32, 64, 1),
        *head(64),
    )


def block(inputs, outputs, *, stride=1, expand=4):
    """1x1 up, depthwise 3x3, 1x1 down."""
    wide = inputs * expand
    up = clipped(inputs, wide, 1) if expand != 1 else []
    branch = nn.Sequential(*up, *clipped(wide, wide, groups=wide, stride=stride), conv_bn(wide, outputs, 1))
    return Residual(branch) if stride == 1 and inputs == outputs else branch


def clipped(inputs, outputs, kernel=3, **rest):
    """A convolution and ReLU6 that starts with values well above 6: so small a net never learns to use the bound."""
    layer = conv_bn(inputs, outputs, kernel, **rest)
    nn.init.constant_(layer[-1].weight, 3.0)
    return [layer, nn.ReLU6()]


def head(channels):
    """Mean over the positions, then one linear layer."""
    return [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, CLASSES)]
