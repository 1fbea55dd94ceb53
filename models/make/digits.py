"""Trains the digit classifiers and writes them, and the images that they never saw, into `models/`.

Usage: python models/make/digits.py
"""

import math
import pathlib

import numpy
import torch
from sklearn.datasets import load_digits
from torch import nn

import digits_nets
import export

FOLDER = pathlib.Path(__file__).resolve().parent.parent
TEST_IMAGES = 500
EPOCHS = 30
BATCH = 64
LARGEST_RATE = 5e-3
ENOUGH = 0.95


def main():
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)
    images, labels, test_images, test_labels = data()
    numpy.savez(FOLDER / "digits_test.npz", x=test_images, y=test_labels)
    for build in (digits_nets.resnet, digits_nets.mobilenet_v2):
        torch.manual_seed(0)
        net = build()
        train(net, tensor(images), torch.from_numpy(labels).long())
        net.eval()
        with torch.no_grad():
            accuracy = (net(tensor(test_images)).argmax(1).numpy() == test_labels).mean()
        print(f"{build.__name__}: {accuracy:.2%} of {TEST_IMAGES} test images, {clipped(net, tensor(test_images))}")
        assert accuracy > ENOUGH
        sample = tensor(test_images[:2])
        export.legacy(net, sample, FOLDER / f"digits_{build.__name__}.onnx")
        export.dynamo(net, sample, FOLDER / f"digits_{build.__name__}_dynamo.onnx")


def data():
    """The 1,797 images of scikit-learn in a fixed random order, the last 500 of them for testing; uint8, 0 to 16."""
    bunch = load_digits()
    order = numpy.random.RandomState(0).permutation(len(bunch.target))
    images = bunch.images[order].astype(numpy.uint8)[:, None]
    labels = bunch.target[order].astype(numpy.uint8)
    return images[:-TEST_IMAGES], labels[:-TEST_IMAGES], images[-TEST_IMAGES:], labels[-TEST_IMAGES:]


def tensor(images):
    """What the networks read: the grey value over its largest value."""
    return torch.from_numpy(images.astype(numpy.float32) / 16)


def train(net, images, labels):
    """Adam with a cosine schedule; each image moves by up to one pixel each time."""
    order = torch.Generator().manual_seed(0)
    optimizer = torch.optim.AdamW(net.parameters(), lr=LARGEST_RATE, weight_decay=1e-2)
    steps = EPOCHS * math.ceil(len(images) / BATCH)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    net.train()
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(images), generator=order).split(BATCH):
            shift = torch.randint(-1, 2, (2,), generator=order).tolist()
            loss = nn.functional.cross_entropy(net(images[batch].roll(shift, (2, 3))), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()


@torch.no_grad()
def clipped(net, images):
    """How much of the activations the upper bound of ReLU6 holds back: a network without any proves little."""
    counts = []
    hooks = [
        part.register_forward_hook(lambda _, inputs, __: counts.append((inputs[0] > 6).float().mean().item()))
        for part in net.modules()
        if isinstance(part, nn.ReLU6)
    ]
    net(images)
    for hook in hooks:
        hook.remove()
    return f"{max(counts):.2%} of the most clipped activation lies above 6" if counts else "no ReLU6"


if __name__ == "__main__":
    main()
