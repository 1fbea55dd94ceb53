"""Options: those of the command line, with underscores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any, Literal, Protocol, TypedDict

if TYPE_CHECKING:
    from typing import TypeAlias


class Array(Protocol):
    """What numpy makes an array of."""

    def __array__(self, dtype: Any = ..., /) -> Any:  # noqa: ANN401 -- numpy's arrays, which need not be there
        """Return the array."""
        ...


Family: TypeAlias = Literal["residual", "linear", "parallel", "sequence", "dead", "transpose", "all"]
Demand: TypeAlias = Literal["removal", "chain"]
Limit: TypeAlias = "str | int"


class _Reading(TypedDict, total=False):
    """How models are read."""

    constant_initializers: bool


class _Planning(TypedDict, total=False):
    """What is planned."""

    long_skips: bool
    downsample: Literal["auto", "v1", "v2"]
    activation: Literal["auto", "prelu", "minmax", "pair", "select"]
    target: str | PathLike[str]
    objective: Literal["latency", "macs", "parameters", "memory", "nodes", "nonlinear", "constraints"]
    carry: Literal["auto", "conv"]
    pads: Literal["any", "symmetric"]
    cost_model: str | PathLike[str]
    only: Family | Sequence[Family]
    skip: Family | Sequence[Family]
    fuse_pointwise: Literal["auto", "always", "never"]
    fold_head: bool
    max_macs: Limit
    max_parameters: Limit
    max_bytes: Limit
    max_peak_memory: Limit
    keep: str | Sequence[str]
    sites: str | Sequence[str]
    open_norms: bool
    keep_functions: bool
    drop_unknown_fields: bool


class _Demanding(TypedDict, total=False):
    """What must hold of the result."""

    require: bool | Demand | Sequence[Demand]
    require_ops: str | Sequence[str]


class _Feeding(TypedDict, total=False):
    """What is fed."""

    inputs: str | PathLike[str] | Mapping[str, Any]
    input_shape: Mapping[str, Sequence[int]]
    seed: int
    dump: str | PathLike[str]


class InspectOptions(_Planning, _Demanding, _Reading, total=False):
    """Options of `inspect`."""

    plan: bool


class VerifyOptions(_Feeding, _Reading, total=False):
    """Options of `verify`."""

    images: str | PathLike[str]
    against_labels: str | PathLike[str] | Array
    preprocess: str
    batch: int | Sequence[int]
    rtol: float
    atol: float
    engine: Literal["tract", "onnxruntime", "both"]
    onnxruntime: str | PathLike[str]
    save_inputs: str | PathLike[str]
    save_outputs: str | PathLike[str]


class RewriteOptions(_Planning, _Demanding, _Feeding, _Reading, total=False):
    """Options of `rewrite`."""

    plan: str | PathLike[str]
    no_verify: bool
    accept_unstable: bool


class PruneOptions(_Planning, _Reading, total=False):
    """Options of `prune`."""

    calibration: str | PathLike[str] | Mapping[str, Any]
    preprocess: str
    labels: str | PathLike[str] | Array
    macs: Limit
    parameters: Limit
    peak_memory: Limit
    latency: Limit
    keep_channels: str | Sequence[str]
    ratio: float
    multiple_of: int
    rounds: int
    way: Literal["best", "residual", "decoupled", "chain"]
    exact_only: bool
    max_error: float
    min_agreement: float
    seed: int


class CheckOptions(TypedDict, total=False):
    """Options of `check`."""

    policy: str | PathLike[str] | None
    baseline: str | PathLike[str] | None
    allow_unmatched: bool
    jobs: int | None
    drop_unknown_fields: bool


class BenchOptions(TypedDict, total=False):
    """Options of `bench`."""

    runs: int
    input_shape: Mapping[str, Sequence[int]]
    engine: Literal["tract", "onnxruntime", "both"]
    onnxruntime: str | PathLike[str]
    drop_unknown_fields: bool


class Known(Protocol):
    """A class of options."""

    @property
    def __optional_keys__(self) -> frozenset[str]:
        """Their names."""
        ...


def words(caller: str, known: Known, options: Mapping[str, object]) -> list[str]:
    """Say `options` as the command line has them; what their values may be, it knows."""
    said = []
    for name, value in options.items():
        if name not in known.__optional_keys__:
            msg = f"{caller}() got an unexpected keyword argument {name!r}"
            raise TypeError(msg)
        option = "--" + name.replace("_", "-")
        if value is None or value is False:
            continue
        if value is True:
            said.append(option)
        elif isinstance(value, Mapping):
            said += [f"{option}={key}:{'x'.join(str(size) for size in sizes)}" for key, sizes in value.items()]
        elif isinstance(value, (str, PathLike)):
            said.append(f"{option}={fspath(value)}")
        elif isinstance(value, (list, tuple, set, frozenset)):
            said += [f"{option}={item}" for item in value]
        else:
            said.append(f"{option}={value}")
    return said
