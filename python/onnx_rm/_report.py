"""What a run found and did, as typed objects: docs/REPORT.md says what each field means."""

from __future__ import annotations

import copy
import json
import types
import typing
from dataclasses import dataclass, fields
from typing import Any, Literal, TypeVar

_R = TypeVar("_R", bound="Record")


class Record:
    """A part of a report."""

    _data: dict[str, Any]

    @classmethod
    def _of(cls: type[_R], data: dict[str, Any]) -> _R:
        """Read `data`; fields that are not there are None."""
        kinds = _kinds(cls)
        record = cls(**{name: _decoded(kind, data.get(name)) for name, kind in kinds.items()})
        object.__setattr__(record, "_data", data)
        return record

    def to_dict(self) -> dict[str, Any]:
        """Return what ``--json`` of the program prints of it.

        Returns
        -------
        dict
            Of strings, numbers, lists and dicts alone.
        """
        return copy.deepcopy(self._data)


_cache: dict[type, dict[str, Any]] = {}


def _kinds(cls: type) -> dict[str, Any]:
    """Return the type of each field."""
    if cls not in _cache:
        hints = typing.get_type_hints(cls)
        _cache[cls] = {f.name: hints[f.name] for f in fields(cls) if f.init}
    return _cache[cls]


def _decoded(kind: Any, value: Any) -> Any:  # noqa: ANN401 -- any JSON
    """Make what `kind` says of a JSON value."""
    if value is None:
        return None
    if isinstance(kind, type) and issubclass(kind, Record):
        return kind._of(value)
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is tuple:
        return tuple(_decoded(inner[0], item) for item in value)
    if origin in (typing.Union, types.UnionType):
        return _decoded(next(k for k in inner if k is not types.NoneType), value)
    return value


@dataclass(frozen=True)
class Price(Record):
    """What a model costs, for one image."""

    macs: int | None
    params: int
    bytes: int
    nodes: int
    joins: int
    activation_bytes: int | None


@dataclass(frozen=True)
class Channels(Record):
    """What the channels of a widened tensor hold."""

    tensor: str
    body: int
    carried: int
    zero: int


@dataclass(frozen=True)
class Site(Record):
    """A join, or a place where linear operators fold, and what became of it.

    Of one that was removed (or could be: ``candidate``) `form` to `channels` are there; of one that was kept `code`
    to `hint`.
    """

    join: str
    tensor: str
    kind: Literal["residual", "parallel", "sequence", "dead", "transpose", "legalize"]
    status: Literal["removed", "candidate", "kept"]
    form: str | None
    exactness: Literal["bitwise", "reordered"] | None
    macs_before: int | None
    macs_after: int | None
    params_before: int | None
    params_after: int | None
    channels: tuple[Channels, ...] | None
    code: str | None
    reason: str | None
    blame_node: str | None
    blame_tensor: str | None
    hint: str | None

    def __repr__(self) -> str:
        """Name the join, and say what became of it."""
        what = f"{self.code}: {self.reason}" if self.status == "kept" else self.form
        return f"<Site {self.join or self.tensor!r} {self.kind}, {self.status}: {what}>"


@dataclass(frozen=True)
class NotInspected(Record):
    """Sums where residual removal does not look."""

    in_subgraphs: int
    in_functions: int


@dataclass(frozen=True)
class Arithmetic(Record):
    """What the models were run in, beside float64."""

    element_type: str
    engine: str
    rounded_because: str | None
    unstable: bool


@dataclass(frozen=True)
class InputReport(Record):
    """A graph input as it was fed."""

    name: str
    shape: tuple[int, ...]
    assumed: bool


@dataclass(frozen=True)
class SizeReport(Record):
    """One assignment of sizes to free dimensions."""

    inputs: tuple[InputReport, ...]
    kinds: tuple[str, ...]
    skipped: tuple[str, ...]


@dataclass(frozen=True)
class WorstChannel(Record):
    """A channel of an output that failed."""

    axis: int
    channel: int
    largest: float
    error: float | None
    limit: float


@dataclass(frozen=True)
class Measure(Record):
    """One output under one kind of input."""

    input: str
    size: int
    largest: float
    exact_error: float | None
    rounding: float | None
    original_error: float | None
    rewritten_error: float | None
    limit: float
    screened: bool
    ties: int
    unstable: bool
    no_evidence: str | None
    failure: str | None
    worst_channel: WorstChannel | None
    note: str | None


@dataclass(frozen=True)
class Tolerance(Record):
    """How far apart values may be: by `atol`, and by `rtol` of the reference's absolute value."""

    rtol: float
    atol: float


@dataclass(frozen=True)
class WorstElement(Record):
    """The element that is furthest away."""

    input: str
    size: int
    index: tuple[int, ...]
    reference: float | None
    value: float | None


@dataclass(frozen=True)
class ChannelErrors(Record):
    """Errors channel by channel."""

    axis: int
    count: int
    worst: int
    largest: tuple[float, ...]
    max_error: tuple[float, ...]
    mean_error: tuple[float, ...]


@dataclass(frozen=True)
class UlpCount(Record):
    """Elements that are at most so many units in the last place away, and more than the count before."""

    most: int
    elements: int


@dataclass(frozen=True)
class Comparison(Record):
    """One side of an output against another one, over all runs."""

    engine: Literal["float64", "tract", "onnxruntime", "float64, rounded"]
    model: Literal["rewritten", "original"]
    against: Literal["original", "expected"]
    element_type: str
    runs: int
    elements: int
    different: int
    not_finite: int
    largest: float
    max_error: float
    mean_error: float
    scaled_error: float | None
    relative_error: float | None
    worst: WorstElement | None
    channels: tuple[ChannelErrors, ...]
    ulps: tuple[UlpCount, ...]
    cosine: float | None
    snr_db: float | None
    would_pass: tuple[Tolerance, ...]
    frontier: tuple[tuple[float, ...], ...]
    frontier_is_exact: bool
    failure: str | None


@dataclass(frozen=True)
class EngineReport(Record):
    """What came out in one engine."""

    engine: str
    version: str | None
    status: Literal["equal", "mismatch", "no-evidence", "unstable"]
    message: str


@dataclass(frozen=True)
class OutputReport(Record):
    """One output, over all kinds of input."""

    name: str
    no_evidence: str | None
    measures: tuple[Measure, ...]
    comparisons: tuple[Comparison, ...]


@dataclass(frozen=True)
class FirstDifference(Record):
    """Where two models part."""

    tensor: str
    node: str
    op: str
    difference: float | None
    input: str


@dataclass(frozen=True)
class Missed(Record):
    """A side of an activation or bound that no input reached."""

    model: int
    node: str
    op: str
    tensor: str
    side: str
    values: tuple[int, ...] | None


@dataclass(frozen=True)
class Bends(Record):
    """What the inputs reached."""

    total: int
    missed: tuple[Missed, ...]


@dataclass(frozen=True)
class LabelReport(Record):
    """How many samples of known classes two models get right: shares."""

    samples: int
    original: float
    rewritten: float
    agreement: float


class _Told(Record):
    """A report that has words for people too."""

    _text: str

    @classmethod
    def _told(cls: type[_T], told: tuple[str, str]) -> _T:
        """Read JSON and words."""
        record = cls._of(json.loads(told[0]))
        object.__setattr__(record, "_text", told[1])
        return record

    def __str__(self) -> str:
        """Say what the program says."""
        return self._text


_T = TypeVar("_T", bound=_Told)


@dataclass(frozen=True)
class VerifyReport(_Told):
    """The result of a comparison of two models."""

    schema_version: int
    status: Literal["equal", "mismatch", "no-evidence", "unstable"]
    verdict: Literal["equal", "equal within rounding", "equal within tolerance", "different", "no evidence"]
    tolerance: Tolerance | None
    message: str
    beyond_tolerance: bool
    coverage: Literal["whole", "regions"]
    tensors: tuple[str, ...] | None
    reason: str | None
    arithmetic: Arithmetic
    engines: tuple[EngineReport, ...]
    outputs: tuple[OutputReport, ...]
    inputs: tuple[InputReport, ...]
    kinds: tuple[str, ...]
    sizes: tuple[SizeReport, ...]
    notes: tuple[str, ...]
    bends: Bends | None
    unreached: tuple[str, ...]
    seed: int
    first_difference: FirstDifference | None
    reproducer: str | None
    labels: LabelReport | None
    saved: tuple[str, ...]

    @property
    def equal(self) -> bool:
        """Both compute the same, but for what rounding explains or a tolerance that was asked for allows."""
        return self.status == "equal"

    def __bool__(self) -> bool:
        """Return True when both compute the same."""
        return self.equal

    def __repr__(self) -> str:
        """Say the verdict."""
        words = f": {self.message}" if self.message else ""
        return f"<VerifyReport {self.status}{words}>"


@dataclass(frozen=True)
class Verification(Record):
    """What verification said of a rewrite."""

    result: Literal["passed", "failed", "unstable", "off", "unchanged"]
    report: VerifyReport | None

    @classmethod
    def _of(cls, data: dict[str, Any]) -> Verification:
        """Read `data`, in which the fields of the comparison stand beside the result."""
        inner = {name: value for name, value in data.items() if name != "result"}
        record = cls(result=data["result"], report=VerifyReport._of(inner) if inner else None)
        object.__setattr__(record, "_data", data)
        if record.report is not None:
            object.__setattr__(record.report, "_text", repr(record.report))
        return record


def _change(before: int | None, after: int | None) -> str:
    """Say how a figure changes."""
    if before is None or after is None:
        return "unknown"
    return f"{before:,} -> {after:,}" + (f" ({after / before:.2f}x)" if before else "")


@dataclass(frozen=True)
class Report(_Told):
    """What `rewrite` did, or what `inspect` says that it would do; ``str`` of it is what the program prints."""

    schema_version: int
    tool_version: str
    command: Literal["rewrite", "inspect"]
    input: str
    output: str | None
    options: dict[str, Any]
    sites: tuple[Site, ...]
    before: Price
    after: Price
    stop: Literal["fixed-point", "nothing-to-do", "round-limit"]
    not_inspected: NotInspected
    unmet: str | None
    notes: tuple[str, ...] | None
    verification: Verification | None

    @property
    def removed(self) -> tuple[Site, ...]:
        """The sites that went, or could go."""
        return tuple(site for site in self.sites if site.status != "kept")

    @property
    def kept(self) -> tuple[Site, ...]:
        """The sites that stay, each with its reason."""
        return tuple(site for site in self.sites if site.status == "kept")

    def __repr__(self) -> str:
        """Say in one line what became of how many joins, and at what price."""
        joins = sum(site.kind == "residual" for site in self.removed)
        done = "removed" if self.command == "rewrite" else "removable"
        verified = "" if self.verification is None else f", verification {self.verification.result}"
        macs = _change(self.before.macs, self.after.macs)
        return f"<Report {joins} of {self.before.joins} joins {done}, MACs {macs}{verified}>"


@dataclass(frozen=True)
class Spread(Record):
    """Least, middle and largest of some figures, with the quartiles between."""

    least: float
    lower: float
    median: float
    upper: float
    most: float


@dataclass(frozen=True)
class ModelTime(Record):
    """How long one of two models takes."""

    file: str
    macs: int | None
    milliseconds: Spread
    loading: float


@dataclass(frozen=True)
class EngineTime(Record):
    """How long two models take in one engine."""

    engine: str
    version: str | None
    first: ModelTime
    second: ModelTime
    ratio: Spread


@dataclass(frozen=True)
class TimeReport(_Told):
    """How long two models take, run in turns."""

    schema_version: int
    engine: str
    version: str | None
    threads: int
    runs: int
    inputs: tuple[InputReport, ...]
    first: ModelTime
    second: ModelTime
    ratio: Spread
    others: tuple[EngineTime, ...] | None

    def __repr__(self) -> str:
        """Say the ratio."""
        r = self.ratio
        return f"<TimeReport second / first {r.median:.2f}x ({r.lower:.2f}x to {r.upper:.2f}x), {self.runs} runs>"


@dataclass(frozen=True)
class Quality(Record):
    """What became of the outputs on samples that nothing was fitted to."""

    samples: int
    relative_error: float
    agreement: float | None
    accuracy_before: float | None
    accuracy_after: float | None


@dataclass(frozen=True)
class PrunedLayer(Record):
    """A layer with fewer channels, in and out."""

    node: str
    tensor: str
    before: tuple[int, ...]
    after: tuple[int, ...]


@dataclass(frozen=True)
class PruneWay(Record):
    """One way of pruning, tried."""

    way: Literal["residual", "decoupled", "chain"]
    macs: float
    parameters: float
    peak_memory: float | None
    latency: float | None
    groups: tuple[int, ...]
    copies: int
    quality: Quality | None
    layers: tuple[PrunedLayer, ...]
    failed: str | None


@dataclass(frozen=True)
class PruneReport(_Told):
    """What `prune` did; ``str`` of it is what the program prints."""

    macs: float
    parameters: float
    peak_memory: float | None
    latency: float | None
    fitted: int
    ways: tuple[PruneWay, ...]
    chosen: Literal["residual", "decoupled", "chain"] | None
    verification: Literal["equal", "mismatch", "no-evidence", "unstable"] | None
    finding: str | None
    notes: tuple[str, ...]

    @property
    def taken(self) -> PruneWay | None:
        """The way that was taken."""
        return next((way for way in self.ways if way.way == self.chosen), None)

    def __repr__(self) -> str:
        """Say in one line what is left, and how far off it is."""
        if self.taken is None:
            return "<PruneReport nothing>"
        quality = self.taken.quality
        error = "" if quality is None else f", output error {100 * quality.relative_error:.1f} %"
        return f"<PruneReport {self.chosen}, MACs {_change(round(self.macs), round(self.taken.macs))}{error}>"
