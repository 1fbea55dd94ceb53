"""What the clients' tests share: trained networks, real images, the program, the yardstick, and the record of what was found."""

import contextlib
import functools
import hashlib
import json
import os
import subprocess
import sys
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort

ROOT = Path(__file__).resolve().parents[2]
CORPUS = Path(os.environ.get("ONNX_RM_CORPUS", ROOT.parent / "shared/corpus"))
WORK = Path(os.environ.get("ONNX_RM_WORK", ROOT / "target/clients/work"))
MEAN, STD = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])

# Trained networks: their file below the corpus or the repository, and how pixels become inputs.
NETS = {
    "resnet20": ("trained/resnet20.onnx", "imagenet"),
    "resnet20_dynamo": ("trained/resnet20_dynamo.onnx", "imagenet"),
    "resnet32": ("trained/resnet32.onnx", "imagenet"),
    "resnet8": ("trained/resnet8_mlperf.onnx", "raw"),
    "resnet18w16": ("trained/cifar_resnet18w16_proj.onnx", "imagenet"),
    "mobilenet_v2": ("trained/cifar_mbv2_relu6.onnx", "imagenet"),
    "digits_resnet": ("models/digits_resnet.onnx", "digits"),
    "digits_mobilenet_v2": ("models/digits_mobilenet_v2.onnx", "digits"),
}


@dataclass(frozen=True)
class Net:
    """A trained network with images that it was not trained on."""

    name: str
    path: Path
    preprocess: str

    def images(self, count: int) -> tuple[np.ndarray, np.ndarray]:
        """`count` test images as the network takes them, and their classes."""
        return pixels(self.preprocess, "test", count)

    def calibration(self, count: int) -> np.ndarray:
        """Other images, without classes."""
        return pixels(self.preprocess, "calibration", count)[0]

    def rewrite(self, *options: str) -> Path:
        return rewrite(self.path, *options)

    def outputs(self, count: int) -> np.ndarray:
        return run(self.path, self.images(count)[0])


def nets(*names: str) -> list[Net]:
    """Those of `names` that are here; what is not is said."""
    found = []
    for name in names:
        file, preprocess = NETS[name]
        path = (ROOT if preprocess == "digits" else CORPUS) / file
        if path.exists():
            found.append(Net(name, path, preprocess))
        else:
            print(f"SKIPPED {name}: {path} is not there", flush=True)
    return found


def pixels(preprocess: str, part: str, count: int) -> tuple[np.ndarray, np.ndarray]:
    test = part == "test"
    if preprocess == "digits":
        images = np.load(ROOT / "models/digits_test.npz")
        # There are 500: the first 300 are for testing, so that calibration sees others.
        chosen = slice(0, min(count, 300)) if test else slice(300, 300 + min(count, 200))
        return images["x"][chosen].astype(np.float32) / 16, images["y"][chosen]
    images = np.load(CORPUS / "images" / ("cifar10_test_2000.npz" if test else "cifar10_calib_1024.npz"))
    x, y = images["x"][:count].astype(np.float32), images["y"][:count]
    if preprocess == "imagenet":
        x = (x / 255 - MEAN) / STD
    return np.ascontiguousarray(x.transpose(0, 3, 1, 2)), y


def program() -> Path:
    """The program: `ONNX_RM`, or what was built last here."""
    given = os.environ.get("ONNX_RM")
    built = [Path(given)] if given else [ROOT / "target" / p / "onnx-rm" for p in ("release", "debug")]
    built = [path for path in built if path.exists()]
    if not built:
        sys.exit("no onnx-rm: build it, or name it in ONNX_RM")
    return max(built, key=lambda path: path.stat().st_mtime)


def rewrite(model: Path, *options: str) -> Path:
    """The model, rewritten and verified by the program. Kept for the next client that asks for the same."""
    stamp = f"{model} {model.stat().st_mtime_ns} {program().stat().st_mtime_ns} {options}"
    out = WORK / f"{model.stem}.{hashlib.sha256(stamp.encode()).hexdigest()[:12]}.onnx"
    if not out.exists():
        out.parent.mkdir(parents=True, exist_ok=True)
        done = subprocess.run([program(), "rewrite", model, out, "--quiet", *options], capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"onnx-rm rewrite {model.name} {' '.join(options)}: {done.stderr.strip()}")
    return out


def fixed(model: Path, batch: int = 1) -> Path:
    """A copy with a batch of known size, as many clients want one."""
    out = WORK / f"{model.stem}.batch{batch}.onnx"
    proto = onnx.load(model)
    for value in [*proto.graph.input, *proto.graph.output]:
        size = value.type.tensor_type.shape.dim[0]
        size.Clear()
        size.dim_value = batch
    del proto.graph.value_info[:]
    out.parent.mkdir(parents=True, exist_ok=True)
    onnx.save(proto, out)
    return out


def run(model: Path, x: np.ndarray) -> np.ndarray:
    """Outputs `[images, classes]` in ONNX Runtime without optimisations: the yardstick."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    taken = session.get_inputs()[0]
    batch = taken.shape[0] if isinstance(taken.shape[0], int) else 100
    found = [session.run(None, {taken.name: x[i : i + batch]})[0] for i in range(0, len(x), batch)]
    return np.concatenate(found).reshape(len(x), -1)


def operators(model: Path) -> Counter:
    return Counter(node.op_type for node in onnx.load(model).graph.node)


def macs(model: Path) -> int:
    """Multiply-accumulates for one image, as the program counts them."""
    command = [program(), "inspect", model, "--json", "--quiet"]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)["before"]["macs"]


@dataclass(frozen=True)
class Gap:
    """How far outputs are from the yardstick's."""

    error: float
    other: int
    count: int

    def __str__(self) -> str:
        return f"{self.other} of {self.count} classes differ, {self.error:.1e} apart"


def compare(expected: np.ndarray, found: np.ndarray) -> Gap:
    """The largest difference over the largest value, and how many images get another class."""
    found = np.asarray(found).reshape(expected.shape)
    error = float(np.abs(expected - found).max() / np.abs(expected).max())
    return Gap(error, int((expected.argmax(1) != found.argmax(1)).sum()), len(expected))


def accuracy(outputs: np.ndarray, classes: np.ndarray) -> float:
    return float((outputs.reshape(len(classes), -1).argmax(1) == classes).mean())


def attempt(action: Callable, *arguments) -> tuple[object, str]:
    """What `action` gives, or the first line of why it does not."""
    try:
        return action(*arguments), ""
    except (Exception, SystemExit) as error:
        lines = str(error).strip().splitlines()
        return None, f"{type(error).__name__}: {lines[0] if lines else ''}"[:200]


@dataclass
class Report:
    """What was found with one client: rows of the table, and claims that did not hold."""

    client: str
    versions: dict[str, str]
    rows: list[dict] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def row(self, net: str, command: str, original: str, rewritten: str, /, **figures) -> None:
        self.rows.append({"net": net, "command": command, "original": original, "rewritten": rewritten, "figures": figures})
        print(f"{self.client} | {net} | {original} | {command} | {rewritten} | {figures or ''}", flush=True)

    def claim(self, holds: object, what: str) -> None:
        """A claim of the table: when it does not hold, the test has failed."""
        if not holds:
            self.failed.append(what)
            print(f"FAILED {self.client}: {what}", flush=True)


@contextlib.contextmanager
def report(client: str, *packages: str) -> Iterator[Report]:
    """Writes the record at the end, and exits with 1 unless every claim held and there was one row at least."""
    record = Report(client, {package: metadata.version(package) for package in packages})
    try:
        yield record
    except Exception:
        traceback.print_exc()
        record.failed.append(traceback.format_exc().strip().splitlines()[-1])
    if not record.rows and not record.failed:
        record.failed.append("nothing was tried")
    out = Path(os.environ.get("ONNX_RM_RESULT", WORK / f"{client}.json"))
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(record.__dict__, indent=1) + "\n")
    if record.failed:
        sys.exit(1)


@functools.cache
def skeleton(name: str) -> Path | None:
    """A network of the corpus with random weights, for costs alone."""
    source, out = CORPUS / f"skeletons/{name}.skel.xz", WORK / f"{name}.onnx"
    if not source.exists():
        print(f"SKIPPED {name}: {source} is not there", flush=True)
        return None
    if not out.exists():
        out.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, CORPUS / "skeleton.py", "fill", source, out], check=True, capture_output=True)
    return out
