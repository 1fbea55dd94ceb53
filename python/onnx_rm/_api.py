"""The functions of the package."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar, cast, overload

from onnx_rm import _native
from onnx_rm._check import CheckReport
from onnx_rm._errors import OnnxRmError, RequirementError, VerificationError
from onnx_rm._options import (
    BenchOptions,
    CheckOptions,
    InspectOptions,
    Known,
    PruneOptions,
    RewriteOptions,
    VerifyOptions,
    words,
)
from onnx_rm._report import PruneReport, Report, TimeReport, VerifyReport

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack


class Message(Protocol):
    """A protobuf message, as ``onnx.ModelProto`` is one."""

    def SerializeToString(self) -> bytes:  # noqa: N802 -- protobuf's name
        """Return its bytes."""
        ...

    @classmethod
    def FromString(cls, s: bytes, /) -> Self:  # noqa: N802 -- protobuf's name
        """Read it from bytes."""
        ...


_P = TypeVar("_P", bound=Message)
_P_co = TypeVar("_P_co", bound=Message, covariant=True)
_M = TypeVar("_M")


class Program(Protocol[_P_co]):
    """What ``torch.onnx.export(..., dynamo=True)`` returns: its model is an attribute."""

    @property
    def model_proto(self) -> _P_co:
        """The model."""
        ...


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    Attributes
    ----------
    stage : str
        What is done: ``round 1`` and so on while joins are looked at, ``verify``, ``bench``, ``prune``, ``check``.
    message : str
        The join or model in hand, or what the stage does.
    done, total : int
        Steps of this stage; models of `check`.
    """

    stage: str
    message: str
    done: int
    total: int


@dataclass(frozen=True)
class Rewritten(Generic[_M]):
    """A rewritten model in memory.

    Attributes
    ----------
    model
        The model: ``bytes``, or an ``onnx.ModelProto`` where one was given.
    report : Report
        What was found and done.
    """

    model: _M
    report: Report

    def __repr__(self) -> str:
        """Name the kind of the model, and say what was done."""
        return f"<Rewritten {type(self.model).__name__}: {self.report!r}>"


@dataclass(frozen=True)
class Pruned(Generic[_M]):
    """A pruned model in memory.

    Attributes
    ----------
    model
        The model: ``bytes``, or an ``onnx.ModelProto`` where one was given.
    report : PruneReport
        What went, and what became of the outputs.
    """

    model: _M
    report: PruneReport

    def __repr__(self) -> str:
        """Name the kind of the model, and say what was done."""
        return f"<Pruned {type(self.model).__name__}: {self.report!r}>"


class _Given(Generic[_M]):
    """A model as it was given."""

    source: str | bytes
    """A path, or the bytes of a file."""
    back: Callable[[bytes], _M]
    """Makes of bytes what was given."""

    def __init__(self, model: object) -> None:
        model = getattr(model, "model_proto", model)
        self.back = cast("Callable[[bytes], _M]", bytes)
        if isinstance(model, (bytes, bytearray, memoryview)):
            self.source = bytes(model)
        elif isinstance(model, (str, PathLike)):
            self.source = fspath(model)
        elif hasattr(model, "SerializeToString"):
            message = cast("Message", model)
            self.source = message.SerializeToString()
            self.back = cast("Callable[[bytes], _M]", type(message).FromString)
        else:
            msg = f"expected a path, bytes or an onnx.ModelProto, got {type(model).__name__}"
            raise TypeError(msg)


def _listener(progress: Callable[[Progress], object] | None) -> Callable[[str, str, int, int], object] | None:
    """Pass steps on as one object each."""
    if progress is None:
        return None
    return lambda stage, message, done, total: progress(Progress(stage, message, done, total))


def _folder(held: ExitStack) -> str:
    """Make a folder that is there until `held` ends."""
    from tempfile import TemporaryDirectory  # few need it, and it takes longer to import than all of this package

    return held.enter_context(TemporaryDirectory(prefix="onnx-rm-"))


def _words(caller: str, known: Known, options: Mapping[str, Any], held: ExitStack) -> list[str]:
    """Say `options` as words. Arrays to be fed go into a file, which is there until `held` ends."""
    for name in ("inputs", "calibration", "labels", "against_labels"):
        given = options.get(name)
        if isinstance(given, Mapping):
            import numpy as np

            file = f"{_folder(held)}/{name}.npz"
            np.savez(file, **given)
            options = {**options, name: file}
        elif hasattr(given, "__array__"):
            import numpy as np

            file = f"{_folder(held)}/{name}.npy"
            np.save(file, np.asarray(given))
            options = {**options, name: file}
    return words(caller, known, options)


@overload
def rewrite(
    model: Program[_P],
    output: None = None,
    *,
    progress: Callable[[Progress], object] | None = None,
    **options: Unpack[RewriteOptions],
) -> Rewritten[_P]: ...
@overload
def rewrite(
    model: str | PathLike[str] | bytes | bytearray | memoryview,
    output: None = None,
    *,
    progress: Callable[[Progress], object] | None = None,
    **options: Unpack[RewriteOptions],
) -> Rewritten[bytes]: ...
@overload
def rewrite(
    model: _P,
    output: None = None,
    *,
    progress: Callable[[Progress], object] | None = None,
    **options: Unpack[RewriteOptions],
) -> Rewritten[_P]: ...
@overload
def rewrite(
    model: str | PathLike[str] | bytes | bytearray | memoryview | Message | Program[Message],
    output: str | PathLike[str],
    *,
    progress: Callable[[Progress], object] | None = None,
    **options: Unpack[RewriteOptions],
) -> Report: ...
def rewrite(
    model: object,
    output: str | PathLike[str] | None = None,
    *,
    progress: Callable[[Progress], object] | None = None,
    **options: Unpack[RewriteOptions],
) -> Rewritten[Any] | Report:
    """Remove residual connections and fold linear operators, without changing what the model computes.

    The result is compared with the original before anyone gets it.

    Parameters
    ----------
    model : path, bytes, onnx.ModelProto or torch.onnx.ONNXProgram
        The model. External data is read beside a path.
    output : path, optional
        Where to write it; may be the path of `model`. Without it the model is returned.
    progress : callable, optional
        Is called with a `Progress`, in the thread of the caller. What it raises ends the run.
    **options
        Those of ``onnx-rm rewrite``, with underscores: `long_skips`, `downsample`, `activation`, `target`, `objective`,
        `carry`, `pads`, `cost_model`, `only`, `skip`, `fuse_pointwise`, `fold_head`, `max_macs`, `max_parameters`,
        `max_bytes`, `max_peak_memory`, `keep`, `sites`, `open_norms`, `keep_functions`, `constant_initializers`,
        `drop_unknown_fields`, `require`, `require_ops`, `plan` (a file that `inspect` or an editor wrote), `no_verify`,
        `accept_unstable`, `inputs` (an .npz, or a dict of arrays), `input_shape` (a dict of sizes), `seed` and `dump`.

    Returns
    -------
    Rewritten or Report
        The model, as the kind that was given, with the report; the report alone when it was written to `output`.

    Raises
    ------
    VerificationError
        When the rewritten model differs or nothing could be concluded; nothing was given out.
    RequirementError
        When what `require` or `require_ops` asks for does not hold; nothing was given out.
    OnnxRmError
        When the model cannot be read, rewritten, compared or written.

    Examples
    --------
    >>> import onnx_rm
    >>> chain = onnx_rm.rewrite("models/digits_resnet.onnx")
    >>> chain
    <Rewritten bytes: <Report 5 of 5 joins removed, MACs 1,418,560 -> 2,700,608 (1.90x), verification passed>>
    >>> onnx_rm.rewrite(chain.model).report.removed
    ()
    """
    given: _Given[Any] = _Given(model)
    with ExitStack() as held:
        said = _words("rewrite", RewriteOptions, options, held)
        path = None if output is None else fspath(output)
        told, content, finding = _native.rewrite(given.source, path, said, _listener(progress))
    report = Report._told(told)
    if finding is not None:
        failed = report.verification is not None and report.verification.result == "failed"
        file = given.source if isinstance(given.source, str) else None
        raise (VerificationError if failed else RequirementError)(finding, report, file=file)
    if output is not None:
        return report
    if content is None:
        msg = "no model was returned"
        raise OnnxRmError(msg)
    return Rewritten(given.back(content), report)


def inspect(
    model: str | PathLike[str] | bytes | bytearray | memoryview | Message | Program[Message],
    *,
    progress: Callable[[Progress], object] | None = None,
    **options: Unpack[InspectOptions],
) -> Report:
    """Say what `rewrite` would do: every join with its form and price, or why it stays.

    Parameters
    ----------
    model : path, bytes, onnx.ModelProto or torch.onnx.ONNXProgram
        The model.
    progress : callable, optional
        Is called with a `Progress`, in the thread of the caller.
    **options
        Those of ``onnx-rm inspect``, with underscores: `long_skips`, `downsample`, `activation`, `target`, `objective`,
        `carry`, `pads`, `cost_model`, `only`, `skip`, `fuse_pointwise`, `fold_head`, `max_macs`, `max_parameters`,
        `max_bytes`, `max_peak_memory`, `keep`, `sites`, `open_norms`, `keep_functions`, `constant_initializers`,
        `drop_unknown_fields`, `require`, `require_ops` and `plan` (True fills `Report.curve`). Where what is required
        does not hold, `Report.unmet` says so.

    Returns
    -------
    Report
        What was found.

    Raises
    ------
    OnnxRmError
        When the model cannot be read.

    Examples
    --------
    >>> import onnx_rm
    >>> report = onnx_rm.inspect("models/blocks/max_pool_shortcut.legacy.onnx")
    >>> report
    <Report 0 of 1 joins removable, MACs 178,176 -> 178,176 (1.00x)>
    >>> report.kept[0].code
    'cannot-pass'
    """
    given: _Given[bytes] = _Given(model)
    said = words("inspect", InspectOptions, options)
    return Report._told(_native.inspect(given.source, said, _listener(progress)))


@overload
def prune(
    model: Program[_P],
    output: None = None,
    *,
    progress: Callable[[Progress], object] | None = None,
    **options: Unpack[PruneOptions],
) -> Pruned[_P]: ...
@overload
def prune(
    model: str | PathLike[str] | bytes | bytearray | memoryview,
    output: None = None,
    *,
    progress: Callable[[Progress], object] | None = None,
    **options: Unpack[PruneOptions],
) -> Pruned[bytes]: ...
@overload
def prune(
    model: _P,
    output: None = None,
    *,
    progress: Callable[[Progress], object] | None = None,
    **options: Unpack[PruneOptions],
) -> Pruned[_P]: ...
@overload
def prune(
    model: str | PathLike[str] | bytes | bytearray | memoryview | Message | Program[Message],
    output: str | PathLike[str],
    *,
    progress: Callable[[Progress], object] | None = None,
    **options: Unpack[PruneOptions],
) -> PruneReport: ...
def prune(
    model: object,
    output: str | PathLike[str] | None = None,
    *,
    progress: Callable[[Progress], object] | None = None,
    **options: Unpack[PruneOptions],
) -> Pruned[Any] | PruneReport:
    """Take channels out of a model and fit what is left to samples. What comes out computes something else.

    Parameters
    ----------
    model : path, bytes, onnx.ModelProto or torch.onnx.ONNXProgram
        The model. External data is read beside a path.
    output : path, optional
        Where to write it; may be the path of `model`. Without it the model is returned.
    progress : callable, optional
        Is called with a `Progress`, in the thread of the caller. What it raises ends the run.
    **options
        Those of ``onnx-rm prune``, with underscores: `calibration` (an .npz, an .npy, a folder of ONNX test data or of
        images, or a dict of arrays), `preprocess`, `labels` (an .npy or an array), `macs`, `parameters`, `peak_memory`,
        `latency`, `keep_channels`, `ratio`, `multiple_of`, `rounds`, `way`, `exact_only`, `max_error`,
        `min_agreement`, `seed`, and for the way without residual connections `long_skips`, `downsample`,
        `activation`, `target`, `objective`,
        `carry`, `pads`, `cost_model`, `only`, `skip`, `fuse_pointwise`, `fold_head`, `max_macs`, `max_parameters`,
        `max_bytes`, `max_peak_memory`, `keep`, `sites`, `open_norms`, `keep_functions`, `constant_initializers` and
        `drop_unknown_fields`.

    Returns
    -------
    Pruned or PruneReport
        The model, as the kind that was given, with the report; the report alone when it was written to `output`.

    Raises
    ------
    RequirementError
        When `max_error` or `min_agreement` is not kept; nothing was given out.
    VerificationError
        When exact pruning changed the results; nothing was given out.
    OnnxRmError
        When the model cannot be read, run on the samples, pruned so far, or written.

    Examples
    --------
    >>> import onnx_rm
    >>> onnx_rm.prune("models/digits_resnet.onnx", exact_only=True).report.taken.copies
    0
    """
    given: _Given[Any] = _Given(model)
    with ExitStack() as held:
        said = _words("prune", PruneOptions, options, held)
        path = None if output is None else fspath(output)
        told, content = _native.prune(given.source, path, said, _listener(progress))
    report = PruneReport._told(told)
    if report.finding is not None:
        file = given.source if isinstance(given.source, str) else None
        failed = report.verification not in (None, "equal")
        raise (VerificationError if failed else RequirementError)(report.finding, report, file=file)
    if output is not None:
        return report
    if content is None:
        msg = "no model was returned"
        raise OnnxRmError(msg)
    return Pruned(given.back(content), report)


def verify(
    original: str | PathLike[str] | bytes | bytearray | memoryview | Message | Program[Message],
    rewritten: str | PathLike[str] | bytes | bytearray | memoryview | Message | Program[Message],
    *,
    progress: Callable[[Progress], object] | None = None,
    **options: Unpack[VerifyOptions],
) -> VerifyReport:
    """Compare what two models compute, with the first in float64 as the yardstick.

    Parameters
    ----------
    original, rewritten : path, bytes, onnx.ModelProto or torch.onnx.ONNXProgram
        The models.
    progress : callable, optional
        Is called with a `Progress`, in the thread of the caller.
    **options
        Those of ``onnx-rm verify``, with underscores: `inputs` (an .npz, an .npy, a folder of ONNX test data, or a dict
        of arrays), `images`, `preprocess`, `against_labels` (the classes of the given samples, an .npy or an array),
        `batch`, `input_shape` (a dict of sizes), `seed`, `rtol`, `atol`, `engine`, `onnxruntime` (the path of its
        library), `save_inputs`, `save_outputs`, `dump` and `constant_initializers`.

    Returns
    -------
    VerifyReport
        The verdict. It is true when the models are equal; that they differ is no error.

    Raises
    ------
    OnnxRmError
        When the models could not be compared at all.

    Examples
    --------
    >>> import onnx_rm
    >>> onnx_rm.verify("models/digits_resnet.onnx", "models/digits_resnet.onnx")
    <VerifyReport equal>
    >>> bool(onnx_rm.verify("models/digits_resnet.onnx", "models/digits_mobilenet_v2.onnx"))
    False
    """
    a: _Given[bytes] = _Given(original)
    b: _Given[bytes] = _Given(rewritten)
    with ExitStack() as held:
        said = _words("verify", VerifyOptions, options, held)
        return VerifyReport._told(_native.verify(a.source, b.source, said, _listener(progress)))


def bench(
    first: str | PathLike[str] | bytes | bytearray | memoryview | Message | Program[Message],
    second: str | PathLike[str] | bytes | bytearray | memoryview | Message | Program[Message],
    *,
    progress: Callable[[Progress], object] | None = None,
    **options: Unpack[BenchOptions],
) -> TimeReport:
    """Time two models in turns, through tract, in one thread.

    Parameters
    ----------
    first, second : path, bytes, onnx.ModelProto or torch.onnx.ONNXProgram
        The models.
    progress : callable, optional
        Is called with a `Progress`, in the thread of the caller.
    **options
        Those of ``onnx-rm bench``, with underscores: `runs`, `input_shape` (a dict of sizes), `engine`,
        `onnxruntime` (where its library is) and `drop_unknown_fields`.

    Returns
    -------
    TimeReport
        The times, and the ratio with its spread.

    Raises
    ------
    OnnxRmError
        When a model cannot be read or run.

    Examples
    --------
    >>> import onnx_rm
    >>> onnx_rm.bench("models/digits_resnet.onnx", "models/digits_resnet.onnx", runs=3).runs
    3
    """
    said = words("bench", BenchOptions, options)
    with ExitStack() as held:

        def path(model: object) -> str:
            """Where the model is, written to a file where it is in none."""
            source = _Given[bytes](model).source
            if isinstance(source, str):
                return source
            name = f"{_folder(held)}/model.onnx"
            with open(name, "wb") as file:  # noqa: PTH123 -- so does pathlib
                file.write(source)
            return name

        return TimeReport._told(_native.bench(path(first), path(second), said, _listener(progress)))


def check(
    models: str | PathLike[str] | Iterable[str | PathLike[str]] = (),
    *,
    progress: Callable[[Progress], object] | None = None,
    **options: Unpack[CheckOptions],
) -> CheckReport:
    """Say whether models are what a policy asks: the gate for exported models.

    Parameters
    ----------
    models : path, or several
        Files, folders with all ``.onnx`` files below them, or patterns as ``models/**/*.onnx``; without any, what the
        sections of the policy mean. Models in memory have no place here: a policy means files by their names.
    progress : callable, optional
        Is called with a `Progress`, in the thread of the caller, at least once a model.
    **options
        Those of ``onnx-rm check``, with underscores: `policy` (the path of a TOML file; without it ``onnx-rm.toml`` of
        the working folder where there is one, else nothing may be left to rewrite), `baseline` (the path of the JSON
        of an earlier run), `allow_unmatched`, `jobs` and `drop_unknown_fields`.

    Returns
    -------
    CheckReport
        The verdict. It is true when all is as the policy says; that it is not, or that a model is broken or missing, is
        no error but a finding.

    Raises
    ------
    OptionError
        When the policy or the baseline is none, or nothing is named to check.
    FileError
        When the policy, the baseline or a folder cannot be read.

    Examples
    --------
    >>> import onnx_rm
    >>> report = onnx_rm.check("models/digits_resnet.onnx")
    >>> report
    <CheckReport failed: 0 of 1 models passed, 1 findings>
    >>> report.files[0].findings[0]
    <CheckFinding 'max-removable-joins': 5 joins that rewrite would remove, where 0 are allowed>
    """
    if isinstance(models, (str, PathLike)):
        models = (models,)
    elif isinstance(models, (bytes, bytearray, memoryview)) or not isinstance(models, Iterable):
        msg = f"expected a path or several, got {type(models).__name__}"
        raise TypeError(msg)
    said = words("check", CheckOptions, options)
    told, forms = _native.check([fspath(model) for model in models], said, _listener(progress))
    report = CheckReport._told(told)
    object.__setattr__(report, "_forms", forms)
    return report
