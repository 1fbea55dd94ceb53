"""Prints the classes that two digit classifiers give to the test images, and the largest difference of a logit.

    digits.py IMAGES.npz ORIGINAL.onnx REWRITTEN.onnx

Three lines: labels, classes before and classes after, each as digits; then the difference.
"""

import sys

import numpy
import onnxruntime


def main(test, *models):
    data = numpy.load(test)
    images = data["x"].astype(numpy.float32) / 16
    logits = []
    for model in models:
        session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
        logits.append(session.run(None, {"input": images})[0])
    for classes in (data["y"], *(scores.argmax(1) for scores in logits)):
        print("".join(str(c) for c in classes))
    print(numpy.abs(logits[0] - logits[1]).max())


if __name__ == "__main__":
    main(*sys.argv[1:])
