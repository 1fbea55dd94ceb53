"""What `check` found, as typed objects: docs/schema/check.schema.json says what each field means."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from onnx_rm._report import Record, _Told

Status = Literal["passed", "failed", "error"]

_SHOWN = 100
"""Most models in a table of a notebook."""


@dataclass(frozen=True)
class Place(Record):
    """A node or tensor that a finding is about; either name may be empty."""

    node: str
    tensor: str
    code: str | None
    reason: str


@dataclass(frozen=True)
class CheckFinding(Record):
    """Where something differs from what the policy says.

    Attributes
    ----------
    key : str
        The key of the policy, or ``model``, ``unmatched``, ``uncovered``, ``unused-accept``.
    level : str
        ``warning`` fails nothing; ``failure``: the policy is not kept; ``error``: whether it is could not be found out.
    known : bool
        The baseline has it already, so it fails nothing.
    message : str
        In words.
    found, limit : int or None
        The number that was found, and the one that is allowed.
    line : int or None
        The line of the policy.
    places : tuple of Place
        The nodes and tensors that it is about.
    """

    key: str
    level: Literal["warning", "failure", "error"]
    known: bool
    message: str
    found: int | None
    limit: int | None
    line: int | None
    places: tuple[Place, ...]

    def __repr__(self) -> str:
        """Say the key, and what is found."""
        word = "known " if self.known else "" if self.level == "failure" else f"{self.level} "
        return f"<CheckFinding {word}{self.key!r}: {self.message}>"


@dataclass(frozen=True)
class Accepted(Record):
    """A join that stays, and may: `reason` says why it stays, `because` why it may."""

    node: str
    tensor: str
    code: str | None
    reason: str
    because: str | None
    until: str | None
    line: int


@dataclass(frozen=True)
class Measures(Record):
    """What was measured of a model. What is not known, or what no key asks for and is dear to find out, is None."""

    ir_version: int
    opset: int
    nodes: int
    joins: int
    removable_joins: int | None
    folds: int | None
    macs: int | None
    parameters: int
    bytes: int
    activation_bytes: int | None
    readers: int


@dataclass(frozen=True)
class FileReport(Record):
    """What became of one model; `measures` is None for a file that is none."""

    file: str
    status: Status
    checked: tuple[str, ...]
    measures: Measures | None
    findings: tuple[CheckFinding, ...]
    accepted: tuple[Accepted, ...]

    @property
    def passed(self) -> bool:
        """All that is asked of it holds."""
        return self.status == "passed"

    def __repr__(self) -> str:
        """Name the file, and say the verdict."""
        return f"<FileReport {self.file!r} {self.status}, {len(self.findings)} findings>"


@dataclass(frozen=True)
class Summary(Record):
    """How many models, and findings that count, are known, or fail nothing."""

    files: int
    passed: int
    failed: int
    errors: int
    findings: int
    known: int
    warnings: int


@dataclass(frozen=True)
class CheckReport(_Told):
    """What `check` found; ``str`` of it is what the program prints.

    It is true when all is as the policy says.

    Attributes
    ----------
    status : str
        ``passed``, ``failed``, or ``error`` when something could not be found out.
    policy : str or None
        The policy's file; None for the one that is built in.
    files : tuple of FileReport
        Every model, in the order in which they were named.
    findings : tuple of CheckFinding
        What is wrong with no model in particular; `all_findings` has those of the models too.
    summary : Summary
        How many.
    """

    schema_version: int
    tool_version: str
    command: Literal["check"]
    policy: str | None
    status: Status
    files: tuple[FileReport, ...]
    findings: tuple[CheckFinding, ...]
    summary: Summary

    @property
    def passed(self) -> bool:
        """All that is asked of all models holds."""
        return self.status == "passed"

    @property
    def all_findings(self) -> tuple[tuple[str | None, CheckFinding], ...]:
        """Every finding with its file; those of no file have None, and stand last."""
        of_files = [(file.file, finding) for file in self.files for finding in file.findings]
        return (*of_files, *((None, finding) for finding in self.findings))

    def __bool__(self) -> bool:
        """Return True when all is as the policy says."""
        return self.passed

    def __repr__(self) -> str:
        """Say the verdict, and how many."""
        s = self.summary
        return f"<CheckReport {self.status}: {s.passed} of {s.files} models passed, {s.findings} findings>"

    def _form(self, name: str) -> str:
        """Return one of the forms that the library wrote."""
        forms: dict[str, str] = self.__dict__["_forms"]
        return forms[name]

    def to_json(self) -> str:
        """Return what ``--json`` of the program prints: a baseline, once it is in a file.

        Returns
        -------
        str
            JSON by docs/schema/check.schema.json.
        """
        return self._form("json")

    def to_sarif(self) -> str:
        """Return what ``--sarif`` of the program writes.

        Returns
        -------
        str
            SARIF 2.1.0: a rule a key, a result a finding.
        """
        return self._form("sarif")

    def to_junit(self) -> str:
        """Return what ``--junit`` of the program writes.

        Returns
        -------
        str
            JUnit XML: a suite a model, a case a key.
        """
        return self._form("junit")

    def to_markdown(self) -> str:
        """Return what ``--markdown`` of the program writes.

        Returns
        -------
        str
            A table of the models, and one of the findings.
        """
        return self._form("markdown")

    def to_github(self) -> str:
        """Return what ``--github`` of the program prints in front of the text.

        Returns
        -------
        str
            An annotation of GitHub Actions a line.
        """
        return self._form("github")

    def _repr_html_(self) -> str:
        """Draw a table for notebooks."""
        from html import escape  # none but notebooks needs it

        rows = []
        for file in self.files[:_SHOWN]:
            said = "<br>".join(f"{escape(f.key)}: {escape(f.message)}" for f in file.findings)
            rows.append(f"<tr><td>{escape(file.file)}</td><td>{file.status}</td><td>{said}</td></tr>")
        if len(self.files) > _SHOWN:
            rows.append(f"<tr><td colspan='3'>and {len(self.files) - _SHOWN} models more</td></tr>")
        others = "".join(f"<p>{escape(f.key)}: {escape(f.message)}</p>" for f in self.findings)
        head = "<tr><th>model</th><th>status</th><th>findings</th></tr>"
        return f"<p>{escape(repr(self)[1:-1])}</p><table>{head}{''.join(rows)}</table>{others}"
