"""Blocks in training form whose parallel linear branches fold into one convolution."""

from torch import nn

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


@family
def residual_of_branches():
    """A residual block whose convolutions are themselves several branches."""
    branch = nn.Sequential(repvgg(8, 8), repvgg(8, 8, after=nn.Identity))
    return net(Residual(branch, after=nn.ReLU()))
