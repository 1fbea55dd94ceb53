"""Models in every form in which they come, and go."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import onnx
import pytest
from conftest import MODELS, program

import onnx_rm

if TYPE_CHECKING:
    from collections.abc import Callable


class Program:
    """Like `torch.onnx.ONNXProgram`."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model = model

    @property
    def model_proto(self) -> onnx.ModelProto:
        return self.model


def test_every_form_gives_the_bytes_that_the_program_writes(resnet: Path, tmp_path: Path) -> None:
    written = tmp_path / "program.onnx"
    assert program("rewrite", resnet, written, "--quiet").returncode == 0
    expected, content = written.read_bytes(), resnet.read_bytes()
    for form in (resnet, str(resnet), content, bytearray(content), memoryview(content)):
        assert onnx_rm.rewrite(form).model == expected
    for source in (resnet, content):
        report = onnx_rm.rewrite(source, tmp_path / "chain.onnx")
        assert (tmp_path / "chain.onnx").read_bytes() == expected
        assert report.output == str(tmp_path / "chain.onnx")
    for proto in (onnx.load(resnet), Program(onnx.load(resnet))):
        model = onnx_rm.rewrite(proto).model
        assert isinstance(model, onnx.ModelProto)
        onnx.checker.check_model(model)
        # The record of the source is that of the bytes that protobuf makes of the message.
        same = onnx.load_model_from_string(expected)
        for either in (model, same):
            del either.metadata_props[:]
        assert model == same


def test_what_is_given_stays_as_it_was(resnet: Path) -> None:
    model = onnx.load(resnet)
    before = model.SerializeToString()
    onnx_rm.rewrite(model)
    assert model.SerializeToString() == before


def test_what_has_nothing_to_remove_is_given_back(resnet: Path, tmp_path: Path) -> None:
    chain = onnx_rm.rewrite(resnet).model
    again = onnx_rm.rewrite(chain)
    assert again.model == chain
    assert again.report.verification is not None
    assert again.report.verification.result == "unchanged"
    onnx_rm.rewrite(chain, tmp_path / "same.onnx")
    assert (tmp_path / "same.onnx").read_bytes() == chain


def test_an_exported_torch_model() -> None:
    torch = pytest.importorskip("torch")
    pytest.importorskip("onnxscript")

    class Block(torch.nn.Module):  # type: ignore[name-defined, misc]
        def __init__(self) -> None:
            super().__init__()
            self.a = torch.nn.Conv2d(4, 4, 3, padding=1)
            self.b = torch.nn.Conv2d(4, 4, 3, padding=1)

        def forward(self, x: object) -> object:
            return torch.relu(x + self.b(torch.relu(self.a(x))))

    exported = torch.onnx.export(Block().eval(), (torch.randn(1, 4, 8, 8),), dynamo=True)
    chain = onnx_rm.rewrite(exported)
    assert len(chain.report.removed) == 1
    assert isinstance(chain.model, onnx.ModelProto)
    assert onnx_rm.verify(exported, chain.model)


def test_external_data_is_read_beside_a_path_and_comes_back_inside(resnet: Path, tmp_path: Path) -> None:
    model = onnx.load(resnet)
    outside = tmp_path / "outside.onnx"
    onnx.save(model, outside, save_as_external_data=True, size_threshold=0)
    chain = onnx_rm.rewrite(outside)
    assert onnx_rm.verify(resnet, chain.model)
    with pytest.raises(onnx_rm.LoadError, match="memory") as caught:
        onnx_rm.rewrite(outside.read_bytes())
    assert caught.value.tensor
    assert caught.value.file is None


def test_anything_else_is_refused() -> None:
    with pytest.raises(TypeError, match=r"expected a path, bytes or an onnx\.ModelProto, got int"):
        onnx_rm.rewrite(3)  # type: ignore[call-overload]
    with pytest.raises(TypeError, match="got NoneType"):
        onnx_rm.inspect(None)  # type: ignore[arg-type]


def test_nothing_but_the_standard_library_is_imported(resnet: Path) -> None:
    code = f"""
import sys
before = set(sys.modules)
import onnx_rm
onnx_rm.rewrite({str(resnet)!r})
assert not {{"onnx", "numpy", "torch", "google"}} & (set(sys.modules) - before)
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", ["basic_identity", "basic_projection", "bottleneck"])
def test_results_are_those_of_the_original(name: str) -> None:
    found = sorted((MODELS / "blocks").glob(f"{name}*.onnx"))
    assert found, name
    for path in found:
        chain = onnx_rm.rewrite(path)
        assert onnx_rm.verify(path, chain.model), path
        assert onnx_rm.verify(path.read_bytes(), onnx.load_model_from_string(chain.model)), path


def test_two_different_models_differ(resnet: Path) -> None:
    model = onnx.load(resnet)
    weight = next(t for t in model.graph.initializer if len(t.dims) == 4)
    values = onnx.numpy_helper.to_array(weight) * 1.01
    weight.CopyFrom(onnx.numpy_helper.from_array(values, weight.name))
    report = onnx_rm.verify(resnet, model)
    assert not report
    assert report.status == "mismatch"
    assert report.first_difference is not None
    assert report.first_difference.node


def test_times_are_measured_on_every_form(resnet: Path) -> None:
    chain = onnx_rm.rewrite(resnet).model
    report = onnx_rm.bench(resnet, onnx.load_model_from_string(chain), runs=3)
    assert (report.runs, report.first.macs, report.second.macs) == (3, 1_418_560, 2_700_608)
    assert report.ratio.least <= report.ratio.median <= report.ratio.most
    assert str(report).startswith("tract, one thread, 3 runs of each")


@pytest.mark.parametrize("call", [onnx_rm.inspect, onnx_rm.rewrite])
def test_paths_need_not_be_text(call: Callable[..., object], resnet: Path, tmp_path: Path) -> None:
    odd = tmp_path / "nämé with spaces.onnx"
    odd.write_bytes(resnet.read_bytes())
    call(odd)


def test_what_a_client_takes_can_be_required() -> None:
    model = MODELS / "digits_mobilenet_v2.onnx"
    wanted: dict[str, Any] = {
        "activation": "minmax",
        "carry": "conv",
        "require": ["removal", "chain"],
        "require_ops": ["Conv", "Clip", "Max", "Min", "Flatten"],
    }
    with pytest.raises(onnx_rm.RequirementError, match="GlobalAveragePool") as caught:
        onnx_rm.rewrite(model, **wanted)
    assert isinstance(caught.value.report, onnx_rm.Report)
    assert caught.value.report.unmet == caught.value.condition
    chain = onnx.load_model_from_string(onnx_rm.rewrite(model, fold_head=True, **wanted).model)
    assert {node.op_type for node in chain.graph.node} - {"Clip", "Constant"} == {"Conv", "Max", "Min", "Flatten"}
