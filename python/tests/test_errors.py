"""Exceptions say which file, node and tensor, and what does not hold."""

from __future__ import annotations

import errno
import pickle
from pathlib import Path

import numpy as np
import onnx
import pytest

import onnx_rm


def model(*nodes: onnx.NodeProto, weights: float = 1.0) -> onnx.ModelProto:
    """A model from `x` to `y` with the weight `w`."""
    x, y = (onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, [1, 2, 4, 4]) for n in "xy")
    w = onnx.numpy_helper.from_array(np.full((2, 2, 1, 1), weights, np.float32), "w")
    graph = onnx.helper.make_graph(list(nodes), "g", [x], [y], [w])
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)])


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "nowhere.onnx"
    for call in (onnx_rm.inspect, onnx_rm.rewrite):
        with pytest.raises(OSError, match=r"nowhere\.onnx") as caught:
            call(path)
        error = caught.value
        assert isinstance(error, onnx_rm.FileError)
        assert (error.errno, error.file, error.filename) == (errno.ENOENT, str(path), str(path))
        assert not error.condition.startswith(str(path))


def test_a_place_that_cannot_be_written(resnet: Path, tmp_path: Path) -> None:
    with pytest.raises(onnx_rm.FileError, match="folder") as caught:
        onnx_rm.rewrite(resnet, tmp_path / "nowhere" / "chain.onnx")
    assert caught.value.file == str(tmp_path / "nowhere" / "chain.onnx")


@pytest.mark.parametrize("content", [b"", b"no model", b"\x00" * 50])
def test_bytes_that_are_no_model(content: bytes, tmp_path: Path) -> None:
    with pytest.raises(onnx_rm.LoadError) as caught:
        onnx_rm.inspect(content)
    assert caught.value.file is None
    path = tmp_path / "bad.onnx"
    path.write_bytes(content)
    with pytest.raises(onnx_rm.LoadError) as caught:
        onnx_rm.inspect(path)
    assert caught.value.file == str(path)
    assert caught.value.condition in str(caught.value)


def test_a_cut_off_model(resnet: Path) -> None:
    with pytest.raises(onnx_rm.LoadError) as caught:
        onnx_rm.rewrite(resnet.read_bytes()[:-100])
    assert caught.value.hint is not None
    assert caught.value.hint in str(caught.value)


def test_a_graph_that_reads_what_nothing_defines(tmp_path: Path) -> None:
    broken = model(onnx.helper.make_node("Add", ["x", "z"], ["y"], name="sum"))
    with pytest.raises(onnx_rm.GraphError, match="which nothing defines") as caught:
        onnx_rm.inspect(broken)
    assert (caught.value.node, caught.value.tensor, caught.value.file) == ("sum", "z", None)
    path = tmp_path / "broken.onnx"
    onnx.save(broken, path)
    for call in (onnx_rm.inspect, onnx_rm.rewrite):
        with pytest.raises(onnx_rm.GraphError) as caught:
            call(path)
        assert (caught.value.node, caught.value.file) == ("sum", str(path))
        assert caught.value.condition.startswith("node 'sum'")


def test_limits_that_cannot_be_kept(resnet: Path) -> None:
    with pytest.raises(onnx_rm.LimitError, match="limits cannot be kept"):
        onnx_rm.rewrite(resnet, max_macs=10)


def test_nothing_to_remove_where_something_is_required(resnet: Path, tmp_path: Path) -> None:
    chain = onnx_rm.rewrite(resnet).model
    with pytest.raises(onnx_rm.RequirementError, match="no join could be removed") as caught:
        onnx_rm.rewrite(chain, tmp_path / "out.onnx", require=True)
    assert isinstance(caught.value.report, onnx_rm.Report)
    assert caught.value.report.before.joins == 0
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_verified_is_not_given_out(tmp_path: Path) -> None:
    """With weights of zero everything is zero, so nothing is known of the rewritten model."""
    nodes = [
        onnx.helper.make_node("Conv", ["x", "w"], ["a"], kernel_shape=[1, 1]),
        onnx.helper.make_node("Relu", ["a"], ["b"]),
        onnx.helper.make_node("Conv", ["b", "w"], ["c"], kernel_shape=[1, 1]),
        onnx.helper.make_node("Add", ["c", "x"], ["d"], name="join"),
        onnx.helper.make_node("Mul", ["d", "zero"], ["y"]),
    ]
    empty = model(*nodes)
    empty.graph.initializer.append(onnx.numpy_helper.from_array(np.zeros((1, 2, 1, 1), np.float32), "zero"))
    with pytest.raises(onnx_rm.VerificationError, match="no evidence") as caught:
        onnx_rm.rewrite(empty, tmp_path / "out.onnx", only="residual")
    assert isinstance(caught.value.report, onnx_rm.Report)
    verification = caught.value.report.verification
    assert verification is not None
    assert verification.result == "failed"
    assert list(tmp_path.iterdir()) == []
    assert onnx_rm.rewrite(empty, only="residual", no_verify=True).report.removed


def test_exceptions_pass_to_other_processes(resnet: Path) -> None:
    chain = onnx_rm.rewrite(resnet).model
    for arguments, options in [((chain,), {"require": True}), (("nowhere.onnx",), {}), ((b"",), {})]:
        with pytest.raises(onnx_rm.OnnxRmError) as caught:
            onnx_rm.rewrite(*arguments, **options)  # type: ignore[call-overload]
        again = pickle.loads(pickle.dumps(caught.value))
        assert type(again) is type(caught.value)
        assert (str(again), vars(again).keys()) == (str(caught.value), vars(caught.value).keys())
