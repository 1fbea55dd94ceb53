"""Pruning: what is given, what comes back, and what stops it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
from conftest import MODELS

import onnx_rm

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def digits() -> dict[str, Any]:
    """Samples and their classes."""
    held = np.load(MODELS / "digits_test.npz")
    return {"calibration": {"input": held["x"].astype(np.float32) / 16}, "labels": held["y"].astype(np.int64)}


def test_a_model_comes_back_as_it_was_given(resnet: Path, digits: dict[str, Any]) -> None:
    model = onnx.load(resnet)
    pruned = onnx_rm.prune(model, **digits, macs="0.6x", way="residual")
    assert isinstance(pruned.model, onnx.ModelProto)
    report, taken = pruned.report, pruned.report.taken
    assert taken is not None
    assert taken.quality is not None
    assert (report.chosen, taken.macs <= 0.6 * report.macs) == ("residual", True)
    assert (taken.quality.accuracy_after or 0) > 0.9
    assert repr(pruned) == f"<Pruned ModelProto: {report!r}>"
    assert "residual, MACs" in repr(report)
    assert "held-out samples" in str(report)
    assert report.to_dict()["ways"][0]["macs"] == taken.macs
    assert not onnx_rm.verify(resnet, pruned.model.SerializeToString())


def test_a_limit_that_is_not_kept_writes_nothing(resnet: Path, digits: dict[str, Any], tmp_path: Path) -> None:
    with pytest.raises(onnx_rm.RequirementError, match="min_agreement") as caught:
        onnx_rm.prune(resnet, tmp_path / "out.onnx", **digits, macs="0.3x", way="residual", min_agreement=1.0)
    assert isinstance(caught.value.report, onnx_rm.PruneReport)
    assert list(tmp_path.iterdir()) == []


def test_what_is_wrong_with_samples_is_said(resnet: Path) -> None:
    with pytest.raises(onnx_rm.OptionError, match="calibration"):
        onnx_rm.prune(resnet, macs="0.5x")
    with pytest.raises(onnx_rm.OptionError, match="input"):
        onnx_rm.prune(resnet, macs="0.5x", calibration={"input": np.zeros((40, 3, 9, 9), np.float32)})


def test_what_a_callback_raises_ends_it(resnet: Path, digits: dict[str, Any], tmp_path: Path) -> None:
    told = []

    def stop(p: onnx_rm.Progress) -> None:
        told.append(p)
        if "choosing" in p.message:
            raise LookupError(p.stage)

    with pytest.raises(LookupError, match="prune"):
        onnx_rm.prune(resnet, tmp_path / "out.onnx", **digits, macs="0.5x", progress=stop)
    assert {p.stage for p in told} == {"prune"}
    assert list(tmp_path.iterdir()) == []


def test_right_answers_are_counted(resnet: Path, digits: dict[str, Any]) -> None:
    report = onnx_rm.verify(resnet, resnet, inputs=digits["calibration"], against_labels=digits["labels"])
    assert report.labels is not None
    assert report.labels.original == report.labels.rewritten > 0.9
    assert report.labels.agreement == 1
