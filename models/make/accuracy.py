"""Accuracy of the digit classifiers before and after the rewrite, in ONNX Runtime, as rows for `models/README.md`.

Usage: python models/make/accuracy.py target/release/onnx-rm
"""

import json
import pathlib
import subprocess
import sys
import tempfile

import numpy
import onnxruntime

FOLDER = pathlib.Path(__file__).resolve().parent.parent


def main(tool):
    test = numpy.load(FOLDER / "digits_test.npz")
    images, labels = test["x"].astype(numpy.float32) / 16, test["y"]
    print(
        "| model | joins | top-1 before | top-1 after | other answers | largest logit difference | largest logit | MACs |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for path in sorted(FOLDER.glob("digits_*.onnx")):
        with tempfile.TemporaryDirectory() as folder:
            chain = pathlib.Path(folder) / path.name
            command = [tool, "rewrite", path, chain, "--long-skips", "--no-verify", "--json"]
            report = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
            before, after = (logits(file, images) for file in (path, chain))
        cost = report["before"], report["after"]
        print(
            f"| `{path.name}` | {cost[0]['joins']} to {cost[1]['joins']}"
            f" | {accuracy(before, labels):.1%} | {accuracy(after, labels):.1%}"
            f" | {(before.argmax(1) != after.argmax(1)).sum()} of {len(labels)}"
            f" | {numpy.abs(before - after).max():.1e} | {numpy.abs(before).max():.1f}"
            f" | {cost[1]['macs'] / cost[0]['macs']:.2f}x |"
        )


def logits(path, images):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, {"input": images})[0]


def accuracy(scores, labels):
    return (scores.argmax(1) == labels).mean()


if __name__ == "__main__":
    main(sys.argv[1])
