"""Removes residual connections from trained ONNX networks without changing what they compute.

`rewrite` makes a plain chain of a model and proves it, `inspect` says what it would do, `verify` compares two models,
`bench` times them, `prune` makes a smaller model, which computes something else, `check` holds files to a policy.
Models are paths, ``bytes``, ``onnx.ModelProto`` or what ``torch.onnx.export(..., dynamo=True)`` returns. Nothing but
the standard library is needed.

Examples
--------
>>> import onnx_rm
>>> report = onnx_rm.inspect("models/digits_resnet.onnx")
>>> report
<Report 5 of 5 joins removable, MACs 1,418,560 -> 2,700,608 (1.90x)>
"""

from onnx_rm._api import Progress, Pruned, Rewritten, bench, check, inspect, prune, rewrite, verify
from onnx_rm._check import CheckFinding, CheckReport, FileReport
from onnx_rm._errors import (
    FileError,
    Finding,
    GraphError,
    InternalError,
    LimitError,
    LoadError,
    OnnxRmError,
    OptionError,
    RequirementError,
    VerificationError,
    VerifyError,
)
from onnx_rm._native import __version__
from onnx_rm._options import BenchOptions, CheckOptions, InspectOptions, PruneOptions, RewriteOptions, VerifyOptions
from onnx_rm._report import Price, PruneReport, Report, Site, TimeReport, Verification, VerifyReport

__all__ = [
    "BenchOptions",
    "CheckFinding",
    "CheckOptions",
    "CheckReport",
    "FileError",
    "FileReport",
    "Finding",
    "GraphError",
    "InspectOptions",
    "InternalError",
    "LimitError",
    "LoadError",
    "OnnxRmError",
    "OptionError",
    "Price",
    "Progress",
    "PruneOptions",
    "PruneReport",
    "Pruned",
    "Report",
    "RequirementError",
    "RewriteOptions",
    "Rewritten",
    "Site",
    "TimeReport",
    "Verification",
    "VerificationError",
    "VerifyError",
    "VerifyOptions",
    "VerifyReport",
    "__version__",
    "bench",
    "check",
    "inspect",
    "prune",
    "rewrite",
    "verify",
]
