"""What the scripts of all frameworks share."""

import pathlib

import numpy
import onnxruntime

FOLDER = pathlib.Path(__file__).resolve().parents[2] / "frameworks"
FOLDER.mkdir(exist_ok=True)
# Everything is computed in float32 by both, in different orders.
TOLERANCE = 2e-5


def randomised(weights, seed):
    """Weights of the same shapes, such that values keep their size from layer to layer; statistics and scales near 1."""
    rng = numpy.random.default_rng(seed)

    def one(w):
        if w.ndim > 1:
            # Kernels are [..., in, out] or [..., channels, 1]: what is summed up is all but the last axis.
            summed = numpy.prod(w.shape[:-1]) if w.shape[-1] > 1 else numpy.prod(w.shape[:-2])
            return rng.normal(size=w.shape, scale=(1.6 / summed) ** 0.5)
        return rng.uniform(0.6, 1.4, size=w.shape) if w.ndim and (w == 1).all() else rng.normal(size=w.shape, scale=0.2)

    return [one(numpy.asarray(w)).astype(numpy.float32) for w in weights]


def check(path, sample, wanted):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {session.get_inputs()[0].name: sample})
    error = numpy.abs(found - wanted).max() / numpy.abs(wanted).max()
    print(f"{path.name:32} {path.stat().st_size:7} bytes  error {error:.1e}  largest {numpy.abs(wanted).max():.2f}")
    assert error < TOLERANCE, path
