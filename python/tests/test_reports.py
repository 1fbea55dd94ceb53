"""Reports: as the program prints them, and every field of them."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import pytest
from conftest import MODELS, ROOT, program

import onnx_rm
from onnx_rm import _report


def same(ours: dict[str, Any], printed: str, *apart: str) -> None:
    theirs = json.loads(printed)
    assert set(ours) == set(theirs)
    assert {k: v for k, v in ours.items() if k not in apart} == {k: v for k, v in theirs.items() if k not in apart}


def test_reports_are_those_of_the_program(resnet: Path, tmp_path: Path) -> None:
    out = tmp_path / "chain.onnx"
    same(onnx_rm.rewrite(resnet, out).to_dict(), program("rewrite", resnet, out, "--json").stdout)
    content = onnx_rm.rewrite(resnet.read_bytes()).report.to_dict()
    same(content, program("rewrite", resnet, out, "--json").stdout, "input", "output")
    same(onnx_rm.inspect(resnet).to_dict(), program("inspect", resnet, "--json").stdout)
    same(onnx_rm.verify(resnet, out).to_dict(), program("verify", resnet, out, "--json").stdout)
    timed = program("bench", resnet, out, "--json", "--runs", "2").stdout
    same(onnx_rm.bench(resnet, out, runs=2).to_dict(), timed, "first", "second", "ratio")


def test_words_are_those_of_the_program(resnet: Path, tmp_path: Path) -> None:
    out = tmp_path / "chain.onnx"
    assert str(onnx_rm.inspect(resnet)) == program("inspect", resnet).stdout.rstrip()
    assert str(onnx_rm.rewrite(resnet, out)) == program("rewrite", resnet, out).stderr.rstrip()
    assert str(onnx_rm.verify(resnet, out)) == program("verify", resnet, out).stderr.rstrip()


def unread(record: object, data: Any, where: str) -> list[str]:  # noqa: ANN401
    """Fields of `data` that no attribute of `record` has."""
    if isinstance(record, tuple):
        return [miss for r, d in zip(record, data, strict=True) for miss in unread(r, d, where)]
    if isinstance(record, _report.Verification):
        inner = {name: value for name, value in data.items() if name != "result"}
        return unread(record.report, inner, where) if inner else []
    if not dataclasses.is_dataclass(record) or not isinstance(data, dict):
        return []
    names = {field.name for field in dataclasses.fields(record)}
    missing = [f"{where}.{name}" for name in data if name not in names]
    return missing + [m for n in names & set(data) for m in unread(getattr(record, n), data[n], f"{where}.{n}")]


def test_every_field_is_an_attribute(resnet: Path) -> None:
    reports: list[_report.Record] = [
        onnx_rm.rewrite(resnet).report,
        onnx_rm.inspect(MODELS / "blocks/max_pool_shortcut.legacy.onnx"),
        onnx_rm.verify(resnet, MODELS / "digits_mobilenet_v2.onnx"),
        onnx_rm.verify(resnet, resnet),
        onnx_rm.bench(resnet, resnet, runs=1),
    ]
    for report in reports:
        assert unread(report, report.to_dict(), type(report).__name__) == []


def test_every_field_of_the_documentation_is_an_attribute() -> None:
    page = (ROOT / "docs" / "REPORT.md").read_text(encoding="utf-8")
    # A plan is a file, no report.
    page, rest = page.split("\n## The file of a plan\n")
    page += rest[rest.index("\n## ") :]
    attributes = {
        field.name
        for kind in vars(_report).values()
        if dataclasses.is_dataclass(kind)
        for field in dataclasses.fields(kind)
    }
    named = {name for row in re.findall(r"^\| (`.*?) \|", page, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)}
    assert len(named) > 50
    assert named - attributes == set()


def test_what_one_sees_of_a_report(resnet: Path) -> None:
    rewritten = onnx_rm.rewrite(resnet)
    assert repr(rewritten) == f"<Rewritten bytes: {rewritten.report!r}>"
    words = "5 of 5 joins removed, MACs 1,418,560 -> 2,700,608 (1.90x), verification passed"
    assert repr(rewritten.report) == f"<Report {words}>"
    site = onnx_rm.inspect(MODELS / "blocks/max_pool_shortcut.legacy.onnx").kept[0]
    assert repr(site).startswith("<Site '/2/Add' residual, kept: cannot-pass: MaxPool on the branch")
    assert rewritten.report.verification is not None
    assert rewritten.report.verification.report is not None
    assert rewritten.report.verification.report.equal
    assert rewritten.report.verification.report.outputs[0].measures[0].largest > 0


def test_a_dict_is_a_copy(resnet: Path) -> None:
    report = onnx_rm.inspect(resnet)
    report.to_dict()["sites"].clear()
    assert report.to_dict()["sites"]
    with pytest.raises(dataclasses.FrozenInstanceError):
        report.input = "other"  # type: ignore[misc]
