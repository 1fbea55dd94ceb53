"""Residual blocks of linear layers: channels on the last axis, rows in front of them."""

from torch import nn

from parts import Residual, conv, conv_bn

FAMILIES = {}


def family(build):
    """Registers a function under its own name."""
    FAMILIES[build.__name__] = build
    return build


class Tokens(nn.Module):
    """The positions of a map as tokens: `[N, C, H, W]` to `[N, H * W, C]`."""

    def forward(self, x):
        return x.flatten(2).transpose(1, 2)


class NormedLinear(nn.Module):
    """LeViT's layer: the batch normalisation sees the tokens of all images as rows."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.linear = nn.Linear(inputs, outputs, bias=False)
        self.norm = nn.BatchNorm1d(outputs)

    def forward(self, x):
        y = self.linear(x)
        return self.norm(y.flatten(0, 1)).reshape_as(y)


@family
def token_layers():
    """LeViT's residual MLP on tokens: batch normalisation over rows, HardSwish; then one with biases and a GELU."""
    normed = nn.Sequential(NormedLinear(8, 16), nn.Hardswish(), NormedLinear(16, 8))
    plain = nn.Sequential(nn.Linear(8, 16), nn.GELU(), nn.Linear(16, 8))
    stem = [conv_bn(3, 8, stride=2), nn.ReLU(), conv(8, 8, 1), Tokens()]
    return nn.Sequential(*stem, Residual(normed), Residual(plain), nn.Linear(8, 4))


@family
def feature_layers():
    """A residual MLP on features: normalised in front, a projection, and one that ends in an activation."""
    first = nn.Sequential(nn.Linear(16, 24), nn.BatchNorm1d(24), nn.ReLU(), nn.Linear(24, 16))
    normed = nn.Sequential(nn.BatchNorm1d(16), nn.Linear(16, 16), nn.SiLU(), nn.Linear(16, 16))
    wider = nn.Sequential(nn.Linear(16, 24), nn.LeakyReLU(0.1), nn.Linear(24, 20), nn.Tanh())
    shortcut = nn.Linear(16, 20)
    body = [Residual(first, after=nn.ReLU()), Residual(normed), Residual(wider, shortcut)]
    return nn.Sequential(nn.Linear(12, 16), *body, nn.Linear(20, 4))
