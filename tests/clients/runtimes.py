"""What is asked of every runtime: trained networks compute the same in it, and folding makes multi-branch networks faster."""

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from common import ROOT, Report, attempt, compare, fixed, nets, rewrite, run, skeleton

Run = Callable[[np.ndarray], np.ndarray]
TRAINED = ("resnet20", "resnet8", "resnet18w16", "mobilenet_v2", "digits_resnet", "digits_mobilenet_v2")
SKELETONS = ("timm_mobileone_s0", "timm_repvgg_a0")
BLOCKS = ("repvgg_block", "mobileone_block", "diverse_branches")
IMAGES = 40


def everywhere(
    report: Report,
    load: Callable[[Path, list[int]], Run],
    *options: str,
    trained: tuple[str, ...] = TRAINED,
    skeletons: tuple[str, ...] = SKELETONS,
    rounds: int = 15,
) -> None:
    """`load` makes a function of one image out of a file whose input has the shape given."""
    for net in nets(*trained):
        x, _ = net.images(IMAGES)
        chain = net.rewrite(*options)
        original, why = attempt(images, load, net.path, x)
        rewritten = images(load, chain, x)
        gap = compare(run(net.path, x), rewritten)
        report.claim(gap.other == 0 and gap.error < 1e-4, f"{net.name} computes the same when rewritten: {gap}")
        before = f"FAILED: {why}" if original is None else str(compare(run(net.path, x), original))
        ratio = None if original is None else time_ratio(load, net.path, chain, x[:1], rounds)
        words = f"{gap}" + (f"; CPU time {ratio:.2f}x" if ratio else "")
        report.row(net.name, " ".join(options), before, words, works=original is not None, time=ratio)
    for name in skeletons:
        if whole := skeleton(f"{name}.legacy"):
            folded(report, load, name.removeprefix("timm_") + " (random weights, 64x64)", whole, 64, rounds)
    for name in BLOCKS:
        folded(report, load, f"blocks/{name}", ROOT / f"models/blocks/{name}.legacy.onnx", 16, rounds)


def folded(report: Report, load: Callable[[Path, list[int]], Run], name: str, model: Path, side: int, rounds: int) -> None:
    x = np.random.default_rng(0).standard_normal((1, 3, side, side)).astype(np.float32)
    small = rewrite(model, "--skip", "residual", "--input-shape", f"input:1x3x{side}x{side}")
    expected = run(fixed(model), x)
    gaps = [compare(expected, images(load, path, x)) for path in (model, small)]
    report.claim(all(gap.error < 1e-4 for gap in gaps), f"{name} computes the same when folded: {gaps[1]}")
    ratio = time_ratio(load, model, small, x, rounds)
    words = f"{gaps[1].error:.1e} apart; CPU time {ratio:.2f}x"
    report.row(name, "--skip residual", f"{gaps[0].error:.1e} apart", words, time=ratio)


def images(load: Callable[[Path, list[int]], Run], model: Path, x: np.ndarray) -> np.ndarray:
    """Outputs `[images, classes]`, one image at a time."""
    one = load(fixed(model), [1, *x.shape[1:]])
    return np.stack([np.asarray(one(x[i : i + 1])).reshape(-1) for i in range(len(x))])


def time_ratio(load: Callable[[Path, list[int]], Run], first: Path, second: Path, x: np.ndarray, rounds: int) -> float:
    """CPU time of `second` over `first` on one image, in turns in one process: the median of `rounds`."""
    runs = [load(fixed(path), list(x.shape)) for path in (first, second)]
    for one in runs:
        one(x)
    times = max(1, round(0.01 / max(seconds(runs[0], x, 1), 1e-6)))
    ratios = []
    for turn in range(rounds):
        taken = [0.0, 0.0]
        for i in (0, 1) if turn % 2 else (1, 0):
            taken[i] = seconds(runs[i], x, times)
        ratios.append(taken[1] / taken[0])
    return float(np.median(ratios))


def seconds(one: Run, x: np.ndarray, times: int) -> float:
    start = time.process_time()
    for _ in range(times):
        one(x)
    return time.process_time() - start
