"""Writes `models/frameworks/*.tf2onnx.onnx`: Keras networks through tf2onnx, which leaves channels last between its `Transpose` nodes.

Usage: python models/make/frameworks/keras_nets.py      (requirements-tf2onnx.txt)
"""

import zlib

import keras
import numpy
import tensorflow
import tf2onnx
from keras import layers
from parts import FOLDER, check, randomised

OPSET = 17


def conv(x, channels, kernel=3, stride=1, act="relu", depthwise=False):
    if depthwise:
        x = layers.DepthwiseConv2D(kernel, stride, padding="same", use_bias=False)(x)
    else:
        x = layers.Conv2D(channels, kernel, stride, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization()(x)
    return layers.Activation(act)(x) if act else x


def resnet():
    """ResNet: an identity block, and one with stride 2 and a projection (SAME padding, so uneven at stride 2)."""
    x = image = layers.Input((16, 16, 3))
    x = conv(x, 8)
    y = conv(conv(x, 8), 8, act=None)
    x = layers.ReLU()(layers.Add()([y, x]))
    y = conv(conv(x, 16, stride=2), 16, act=None)
    x = layers.ReLU()(layers.Add()([y, conv(x, 16, 1, 2, act=None)]))
    return keras.Model(image, layers.Dense(10)(layers.GlobalAveragePooling2D()(x)))


def mobilenet_v2():
    """MobileNetV2: two inverted residual blocks with ReLU6."""
    x = image = layers.Input((16, 16, 3))
    x = conv(x, 8, act="relu6")
    for _ in range(2):
        y = conv(x, 24, 1, act="relu6")
        y = conv(y, 24, act="relu6", depthwise=True)
        x = layers.Add()([x, conv(y, 8, 1, act=None)])
    return keras.Model(image, layers.Dense(10)(layers.GlobalAveragePooling2D()(x)))


def mobilenet_v3():
    """MobileNetV3: an inverted residual block with hard swish and squeeze-and-excitation."""
    x = image = layers.Input((16, 16, 3))
    x = conv(x, 8, act="hard_silu")
    y = conv(x, 24, 1, act="hard_silu")
    y = conv(y, 24, act="hard_silu", depthwise=True)
    s = layers.GlobalAveragePooling2D(keepdims=True)(y)
    s = layers.Conv2D(24, 1, activation="hard_sigmoid")(layers.Conv2D(8, 1, activation="relu")(s))
    x = layers.Add()([x, conv(layers.Multiply()([y, s]), 8, 1, act=None)])
    return keras.Model(image, layers.Dense(10)(layers.GlobalAveragePooling2D()(x)))


def main():
    for build in (resnet, mobilenet_v2, mobilenet_v3):
        keras.utils.set_random_seed(0)
        model = build()
        model.set_weights(randomised(model.get_weights(), zlib.crc32(build.__name__.encode())))
        path = FOLDER / f"{build.__name__}.tf2onnx.onnx"
        signature = [tensorflow.TensorSpec((None, *model.input.shape[1:]), tensorflow.float32, name="input")]
        function = tensorflow.function(lambda input, model=model: model(input, training=False))
        tf2onnx.convert.from_function(function, signature, opset=OPSET, output_path=str(path))
        sample = numpy.random.default_rng(1).normal(size=(2, *model.input.shape[1:])).astype(numpy.float32)
        check(path, sample, model(sample, training=False).numpy())


if __name__ == "__main__":
    main()
