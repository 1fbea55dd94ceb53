"""Computes what a report of `verify` says of saved outputs again, in NumPy: `figures.py REPORT OUTPUTS`.

Prints a line for each comparison that was looked at, and fails where a figure differs.
"""

import json
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

LADDER = [0.0, 1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2]


def main():
    report = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    folder = Path(sys.argv[2])
    for number, output in enumerate(report["outputs"]):
        for comparison in output["comparisons"]:
            saved = folder / comparison["engine"]
            if saved.is_dir() and comparison["against"] == "original":
                runs = [(read(saved, "original", run, number), read(saved, "rewritten", run, number))
                        for run in range(len(report["saved"]))]
                check(comparison, runs)
                print(output["name"], comparison["engine"], len(runs))


def read(folder, model, run, number):
    path = folder / model / f"test_data_set_{run}" / f"output_{number}.pb"
    tensor = onnx.TensorProto.FromString(path.read_bytes())
    return numpy_helper.to_array(tensor)


def near(name, found, expected):
    if expected is None or found is None:
        assert found is None and expected is None, (name, found, expected)
    else:
        assert np.allclose(found, expected, rtol=1e-9, atol=1e-300), (name, found, expected)


def ordered(values):
    """Number every float of its type, so that neighbours are one apart."""
    kind = {2: np.int16, 4: np.int32, 8: np.int64}[values.dtype.itemsize]
    bits = values.view(kind).astype(object)
    return np.where(bits < 0, int(np.iinfo(kind).min) - bits, bits)


def check(comparison, runs):
    a = np.concatenate([x.ravel() for x, _ in runs])
    b = np.concatenate([y.ravel() for _, y in runs])
    wide_a, wide_b = a.astype(np.float64), b.astype(np.float64)
    assert np.isfinite(wide_a).all() and np.isfinite(wide_b).all()
    error, size = np.abs(wide_a - wide_b), np.abs(wide_a)
    near("elements", comparison["elements"], a.size)
    near("runs", comparison["runs"], len(runs))
    near("different", comparison["different"], int((a != b).sum()))
    near("not_finite", comparison["not_finite"], 0)
    near("largest", comparison["largest"], size.max())
    near("max_error", comparison["max_error"], error.max())
    near("mean_error", comparison["mean_error"], error.mean())
    near("scaled_error", comparison["scaled_error"], error.max() / size.max())
    missed = ((size == 0) & (error > 0)).any()
    relative = None if missed else np.divide(error, size, out=np.zeros_like(error), where=size > 0).max()
    near("relative_error", comparison["relative_error"], relative)
    near("cosine", comparison["cosine"], wide_a @ wide_b / (np.linalg.norm(wide_a) * np.linalg.norm(wide_b)))
    snr = None if error.max() == 0 else 10 * np.log10((wide_a**2).sum() / (error**2).sum())
    near("snr_db", comparison["snr_db"], snr)
    if error.max() > 0:
        worst = comparison["worst"]
        hits = [(x[tuple(worst["index"])], y[tuple(worst["index"])]) for x, y in runs if len(worst["index"]) == x.ndim
                and all(i < n for i, n in zip(worst["index"], x.shape))]
        assert (np.float64(worst["reference"]), np.float64(worst["value"])) in [(float(x), float(y)) for x, y in hits]
        near("worst", abs(worst["reference"] - worst["value"]), error.max())
    for tolerance in comparison["would_pass"]:
        near("would_pass", tolerance["atol"], max(0.0, (error - tolerance["rtol"] * size).max()))
    assert [t["rtol"] for t in comparison["would_pass"]] == LADDER
    for rtol in [0.0, 3e-8, 2.5e-6, 1e-4, 0.03, 1.0]:
        least = max([0.0] + [e - rtol * s for s, e in comparison["frontier"]])
        near("frontier", least, max(0.0, (error - rtol * size).max()))
        # One unit of the tolerance apart, NumPy's own judgement turns.
        if least > 0:
            assert np.allclose(wide_b, wide_a, rtol=rtol, atol=least * (1 + 1e-9))
            assert not np.allclose(wide_b, wide_a, rtol=rtol, atol=least * (1 - 1e-9))
    distance = np.abs(ordered(a) - ordered(b))
    least = -1
    for count in comparison["ulps"]:
        within = int(((distance > least) & (distance <= count["most"])).sum())
        assert within == count["elements"], (count, within)
        least = count["most"]
    assert sum(c["elements"] for c in comparison["ulps"]) == a.size
    for channels in comparison["channels"]:
        axis = channels["axis"]
        def of(values, how):
            rows = [np.moveaxis(v, axis, 0).reshape(v.shape[axis], -1) for v in values]
            return how(np.concatenate(rows, axis=1), axis=1)
        errors = [np.abs(x.astype(np.float64) - y.astype(np.float64)) for x, y in runs]
        near("channel max", channels["max_error"], of(errors, np.max))
        near("channel mean", channels["mean_error"], of(errors, np.mean))
        near("channel largest", channels["largest"], of([np.abs(x.astype(np.float64)) for x, _ in runs], np.max))
        assert channels["count"] == len(channels["max_error"])
        assert channels["worst"] == int(np.argmax(channels["max_error"]))


if __name__ == "__main__":
    main()
