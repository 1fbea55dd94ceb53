"""Models against a policy: what is given, what comes back, what is an error, and the forms of a report."""

from __future__ import annotations

import dataclasses
import errno
import json
import os
import pickle
import shutil
import threading
import time
import xml.etree.ElementTree as ET
from pathlib import Path
from typing import Any

import onnx
import pytest
from conftest import ROOT, ends_by_ctrl_c, program
from test_reports import unread

import onnx_rm
from onnx_rm import _check


@pytest.fixture
def folder(resnet: Path, block: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder: `models` holds a block and a chain, and beside it lies a model with five joins."""
    models = tmp_path / "models"
    models.mkdir()
    shutil.copy(resnet, tmp_path / "resnet.onnx")
    shutil.copy(block, models / "block.onnx")
    onnx_rm.rewrite(block, models / "chain.onnx")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def statuses(report: onnx_rm.CheckReport) -> dict[str, str]:
    return {file.file: file.status for file in report.files}


def test_what_is_as_the_policy_says_passes(folder: Path) -> None:
    report = onnx_rm.check(folder / "models" / "chain.onnx")
    assert report
    assert (report.passed, report.status, report.findings, report.all_findings) == (True, "passed", (), ())
    assert (report.policy, report.command, report.files[0].passed) == (None, "check", True)
    measures = report.files[0].measures
    assert measures is not None
    assert (measures.joins, measures.removable_joins, measures.folds) == (0, 0, 0)
    assert repr(report) == "<CheckReport passed: 1 of 1 models passed, 0 findings>"


def test_a_check_that_fails_is_a_report(folder: Path) -> None:
    report = onnx_rm.check("resnet.onnx")
    assert not report
    assert report.status == "failed"
    file = report.files[0]
    assert (file.file, file.passed, file.checked) == ("resnet.onnx", False, ("max-removable-joins", "max-folds"))
    finding = file.findings[0]
    assert (finding.key, finding.level, finding.known) == ("max-removable-joins", "failure", False)
    assert (finding.found, finding.limit, len(finding.places)) == (5, 0, 5)
    assert finding.places[0].code == "removable"
    assert report.all_findings[0] == ("resnet.onnx", finding)
    assert repr(file) == f"<FileReport 'resnet.onnx' failed, {len(file.findings)} findings>"


def test_files_folders_and_patterns(folder: Path) -> None:
    both = {"models/block.onnx": "failed", "models/chain.onnx": "passed"}
    several: list[str | Path] = ["models/block.onnx", Path("models/chain.onnx")]
    for models in ("models", folder / "models", "models/*.onnx", several):
        assert statuses(onnx_rm.check(models)) == both, models
    assert list(statuses(onnx_rm.check(("models/chain.onnx", "resnet.onnx")))) == ["models/chain.onnx", "resnet.onnx"]
    assert len(onnx_rm.check(path for path in Path("models").iterdir()).files) == 2
    unmatched = onnx_rm.check("none/*.onnx")
    assert unmatched.status == "failed"
    assert unmatched.all_findings == ((None, unmatched.findings[0]),)
    assert unmatched.findings[0].key == "unmatched"
    assert onnx_rm.check("none/*.onnx", allow_unmatched=True).status == "passed"


def test_models_in_memory_are_refused(resnet: Path) -> None:
    for wrong in (resnet.read_bytes(), onnx.load(resnet), 3, None):
        with pytest.raises(TypeError, match=r"expected a path or several, got (bytes|ModelProto|int|NoneType)"):
            onnx_rm.check(wrong)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        onnx_rm.check([3])  # type: ignore[list-item]


def test_a_model_that_is_broken_or_missing_is_a_finding(folder: Path) -> None:
    (folder / "broken.onnx").write_bytes(b"no model")
    report = onnx_rm.check(["broken.onnx", "nowhere.onnx", "models/chain.onnx"])
    assert report.status == "error"
    assert statuses(report) == {"broken.onnx": "error", "nowhere.onnx": "error", "models/chain.onnx": "passed"}
    assert report.files[0].measures is None
    assert report.files[1].findings[0].level == "error"
    assert "nowhere.onnx" in report.files[1].findings[0].message
    assert repr(report.files[1].findings[0]).startswith("<CheckFinding error 'model': ")


def test_a_policy_says_what_is_asked(folder: Path) -> None:
    policy = folder / "policy.toml"
    policy.write_text("[[models]]\nfiles = 'models/*'\nmax-joins = 9\nmax-nodes = 2\n")
    for given in (policy, "policy.toml"):
        report = onnx_rm.check(policy=given)
        assert report.policy == str(given)
        assert {file.checked for file in report.files} == {("max-joins", "max-nodes")}
        assert {(finding.key, finding.line) for _, finding in report.all_findings} == {("max-nodes", 4)}
    # That of the working folder is taken where no other is named.
    policy.rename("onnx-rm.toml")
    assert onnx_rm.check().policy == "onnx-rm.toml"
    Path("accept.toml").write_text("max-joins = 0\naccept = [{ code = 'removable', reason = 'too dear' }]\n")
    report = onnx_rm.check("models/block.onnx", policy="accept.toml")
    assert report
    accepted = report.files[0].accepted[0]
    assert (accepted.code, accepted.because, accepted.until, accepted.line) == ("removable", "too dear", None, 2)


def test_a_broken_policy_is_an_error(folder: Path) -> None:
    (folder / "bad.toml").write_text("max-joins = 0\nmax-jions = 0\n")
    with pytest.raises(onnx_rm.OptionError, match="max-jions") as caught:
        onnx_rm.check("models", policy="bad.toml")
    assert caught.value.file == "bad.toml"
    assert caught.value.condition.startswith("2:1: ")
    assert isinstance(caught.value, ValueError)


def test_files_that_are_not_there_are_errors(folder: Path) -> None:
    for options in ({"policy": "nowhere.toml"}, {"baseline": "nowhere.toml"}):
        asked: Any = options
        with pytest.raises(onnx_rm.FileError, match=r"nowhere\.toml") as caught:
            onnx_rm.check("models", **asked)
        assert (caught.value.errno, caught.value.file) == (errno.ENOENT, "nowhere.toml")
        assert not caught.value.condition.startswith("nowhere.toml")
    with pytest.raises(onnx_rm.OptionError, match="nothing to check"):
        onnx_rm.check()


def test_what_a_baseline_has_fails_nothing(folder: Path) -> None:
    baseline = folder / "baseline.json"
    first = onnx_rm.check(["resnet.onnx"])
    baseline.write_text(first.to_json())
    again = onnx_rm.check(["resnet.onnx"], baseline=baseline)
    assert again
    assert (again.summary.known, again.summary.findings) == (first.summary.findings, 0)
    assert repr(again.files[0].findings[0]).startswith("<CheckFinding known 'max-removable-joins': ")
    assert onnx_rm.check(["resnet.onnx", "models/block.onnx"], baseline=baseline).status == "failed"
    baseline.write_text("{}")
    with pytest.raises(onnx_rm.OptionError, match="no report of a check") as caught:
        onnx_rm.check("models", baseline=str(baseline))
    assert caught.value.file == str(baseline)
    assert caught.value.condition.startswith("no report of a check")


def test_options_that_cannot_be(folder: Path) -> None:
    for jobs in (0, -1, "two"):
        wrong: Any = {"jobs": jobs}
        with pytest.raises(onnx_rm.OptionError, match=f"'{jobs}' is no value of 'jobs'"):
            onnx_rm.check("models", **wrong)
    for name in ("sarif", "init", "json", "quiet"):
        unknown: Any = {name: True}
        with pytest.raises(TypeError, match=rf"check\(\) got an unexpected keyword argument '{name}'"):
            onnx_rm.check("models", **unknown)
    given: onnx_rm.CheckOptions = {"policy": None, "baseline": None, "allow_unmatched": False, "jobs": None}
    assert onnx_rm.check("models", **given) == onnx_rm.check("models", jobs=1)


def test_unknown_fields_are_dropped_where_that_is_asked_for(folder: Path) -> None:
    newer = folder / "newer.onnx"
    # Field 1000 of the message, of one byte.
    newer.write_bytes((folder / "models" / "chain.onnx").read_bytes() + b"\xc0\x3e\x01")
    assert onnx_rm.check(newer).status == "error"
    assert onnx_rm.check(newer, drop_unknown_fields=True).status == "passed"


def test_reports_are_those_of_the_program(folder: Path) -> None:
    (folder / "onnx-rm.toml").write_text("max-joins = 0\naccept = [{ code = 'border', reason = 'none' }]\n")
    report = onnx_rm.check(["models", "resnet.onnx"])
    models = ("models", "resnet.onnx")
    files = ["--sarif", "s.sarif", "--junit", "j.xml", "--markdown", "m.md"]
    printed = program("check", *models, "--json", *files)
    assert printed.returncode == 1
    assert report.to_json() == printed.stdout
    assert report.to_dict() == json.loads(printed.stdout)
    assert report.to_sarif() == Path("s.sarif").read_text()
    assert report.to_junit() == Path("j.xml").read_text()
    assert report.to_markdown() == Path("m.md").read_text()
    text = str(report)
    assert text == program("check", *models).stdout.rstrip()
    assert f"{report.to_github().rstrip()}\n{text}" == program("check", *models, "--github").stdout.rstrip()
    assert report.to_github().startswith("::")
    assert json.loads(report.to_sarif())["version"] == "2.1.0"
    assert ET.fromstring(report.to_junit()).tag == "testsuites"


def test_every_field_of_the_schema_is_an_attribute(folder: Path) -> None:
    (folder / "p.toml").write_text(
        "max-joins = 0\naccept = [{ code = 'removable', reason = 'dear', until = 2990-01-01 }]\n"
    )
    for report in (onnx_rm.check(["models", "nowhere.onnx"]), onnx_rm.check("models", policy="p.toml")):
        assert unread(report, report.to_dict(), "CheckReport") == []
    schema = json.loads((ROOT / "docs" / "schema" / "check.schema.json").read_text(encoding="utf-8"))
    kinds = {
        "file": _check.FileReport,
        "measures": _check.Measures,
        "finding": _check.CheckFinding,
        "place": _check.Place,
        "accepted": _check.Accepted,
    }
    parts = {kind: schema["$defs"][name] for name, kind in kinds.items()}
    parts |= {onnx_rm.CheckReport: schema, _check.Summary: schema["properties"]["summary"]}
    for kind, part in parts.items():
        assert {field.name for field in dataclasses.fields(kind)} == set(part["properties"]), kind
    assert {name for name, part in schema["$defs"].items() if "properties" in part} == set(kinds)


def test_a_notebook_shows_a_table(folder: Path) -> None:
    shutil.copy("resnet.onnx", "a<b>.onnx")
    drawn = onnx_rm.check(["a<b>.onnx", "models/chain.onnx", "none/*.onnx"])._repr_html_()
    assert "a&lt;b&gt;.onnx" in drawn
    assert "<b>" not in drawn
    assert "max-removable-joins: 5 joins" in drawn
    assert "unmatched: " in drawn
    assert len(ET.fromstring(f"<div>{drawn.replace('<br>', '<br/>')}</div>").findall(".//tr")) == 3


def test_a_report_passes_to_other_processes(folder: Path) -> None:
    report = onnx_rm.check("models")
    again = pickle.loads(pickle.dumps(report))
    assert again == report
    assert (str(again), again.to_sarif(), again.to_dict()) == (str(report), report.to_sarif(), report.to_dict())
    report.to_dict()["files"].clear()
    assert report.to_dict()["files"]
    with pytest.raises(dataclasses.FrozenInstanceError):
        report.status = "passed"  # type: ignore[misc]


def test_progress_is_told_in_the_thread_of_the_caller(folder: Path) -> None:
    told: list[tuple[onnx_rm.Progress, int]] = []
    onnx_rm.check(["models", "resnet.onnx"], progress=lambda p: told.append((p, threading.get_ident())))
    assert {ident for _, ident in told} == {threading.get_ident()}
    assert {p.stage for p, _ in told} == {"check"}
    assert {p.message for p, _ in told} == {"models/block.onnx", "models/chain.onnx", "resnet.onnx"}
    assert all(0 <= p.done < p.total == 3 for p, _ in told)


def test_what_a_callback_raises_ends_the_run(folder: Path) -> None:
    told = []

    def stop(p: onnx_rm.Progress) -> None:
        told.append(p)
        raise LookupError(p.message)

    Path("policy.toml").write_text("equal-to = 'resnet.onnx'\n")
    models = [shutil.copy("resnet.onnx", f"{n}.onnx") for n in range(4)]
    begin = time.perf_counter()
    assert onnx_rm.check(models, policy="policy.toml", jobs=1)
    took = time.perf_counter() - begin
    begin = time.perf_counter()
    with pytest.raises(LookupError, match=r"0\.onnx"):
        onnx_rm.check(models, policy="policy.toml", jobs=1, progress=stop)
    assert time.perf_counter() - begin < took / 2
    assert len(told) == 1


@pytest.mark.skipif(os.name == "nt", reason="signals of Unix")
def test_ctrl_c_raises_keyboard_interrupt(folder: Path) -> None:
    # A comparison takes longest, so that something is going on when the signal comes.
    shutil.copy("resnet.onnx", "same.onnx")
    Path("policy.toml").write_text("equal-to = 'same.onnx'\n")
    ends_by_ctrl_c('onnx_rm.check("resnet.onnx", policy="policy.toml")')
