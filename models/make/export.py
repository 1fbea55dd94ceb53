"""Both exporters of torch, with the settings that every model here shares."""

import contextlib
import io
import logging
import warnings

import onnx
import torch

LEGACY_OPSET = 17

# It counts the packages that are not installed, for every file.
logging.getLogger("torch.onnx").setLevel(logging.ERROR)


def legacy(module, sample, path, *, keep_batch_norm=False, training=False):
    """The TorchScript exporter. `training` leaves batch normalisations that compute their own statistics."""
    mode = torch.onnx.TrainingMode
    with quiet():
        torch.onnx.export(
            module.train(training),
            (sample,),
            path,
            dynamo=False,
            opset_version=LEGACY_OPSET,
            input_names=["input"],
            output_names=["output"],
            dynamic_axes={"input": {0: "batch"}, "output": {0: "batch"}},
            training=mode.TRAINING if training else mode.PRESERVE if keep_batch_norm else mode.EVAL,
            do_constant_folding=not (keep_batch_norm or training),
        )
    tidy(path)


def dynamo(module, sample, path, *, keep_batch_norm=False, free=("batch",)):
    """The `torch.export` exporter with its own opset and, unless batch normalisations are kept, its optimiser. `free` names axes."""
    with quiet():
        torch.onnx.export(
            module.eval(),
            (sample,),
            path,
            dynamo=True,
            external_data=False,
            input_names=["input"],
            output_names=["output"],
            dynamic_shapes=({axis: torch.export.Dim(name) for axis, name in enumerate(free) if name},),
            optimize=not keep_batch_norm,
            verbose=False,
        )
    tidy(path)


def tidy(path):
    """Drops the stack traces of the Python code, which name folders of the machine that exported."""
    model = onnx.load(path)
    for graph_or_function in (model.graph, *model.functions):
        for node in graph_or_function.node:
            kept = [p for p in node.metadata_props if not p.key.endswith("stack_trace")]
            del node.metadata_props[:]
            node.metadata_props.extend(kept)
    onnx.checker.check_model(model, full_check=True)
    with open(path, "wb") as file:
        file.write(model.SerializeToString(deterministic=True))


@contextlib.contextmanager
def quiet():
    """The exporters warn at length about what these scripts do on purpose."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield
