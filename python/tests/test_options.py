"""Options: those of the command line, with the same words for what is wrong."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

import numpy as np
import pytest
from conftest import program

import onnx_rm

if TYPE_CHECKING:
    from collections.abc import Callable

COMMANDS: dict[str, tuple[type, set[str]]] = {
    # A report is a value here, `inspect` is the dry run, and the program writes plans.
    "rewrite": (onnx_rm.RewriteOptions, {"json", "quiet", "help", "dry_run", "report", "plan_out"}),
    "inspect": (onnx_rm.InspectOptions, {"json", "quiet", "help", "report", "plan_out"}),
    "prune": (onnx_rm.PruneOptions, {"json", "quiet", "help"}),
    # A saved report is judged by the program: no model is given then.
    "verify": (onnx_rm.VerifyOptions, {"json", "quiet", "help", "report", "judge"}),
    # A report writes itself in each form, and a first policy is the program's to write.
    "check": (
        onnx_rm.CheckOptions,
        {"json", "quiet", "help", "report", "init", "github", "sarif", "junit", "markdown"},
    ),
    "bench": (onnx_rm.BenchOptions, {"json", "quiet", "help"}),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_options_are_those_of_the_program(command: str) -> None:
    known, apart = COMMANDS[command]
    text = program(command, "--help").stdout
    told = {word.replace("-", "_") for word in re.findall(r"^ +(?:-\w, )?--([a-z-]+)", text, re.MULTILINE)}
    assert "json" in told
    assert set(get_type_hints(known)) == told - apart
    documented = getattr(onnx_rm, command).__doc__
    assert all(f"`{name}`" in documented for name in told - apart)


def words_of(hint: object) -> set[str]:
    """Return every word that a type allows."""
    return {hint} if isinstance(hint, str) else {word for inner in get_args(hint) for word in words_of(inner)}


def test_values_are_those_of_the_program(block: Path) -> None:
    looked = 0
    for name, hint in get_type_hints(onnx_rm.InspectOptions).items():
        allowed = words_of(hint)
        if allowed:
            wrong: Any = {name: "no-such-word"}
            with pytest.raises(onnx_rm.OptionError, match="expected one of") as caught:
                onnx_rm.inspect(block, **wrong)
            assert set(caught.value.condition.split("expected one of ")[1].split(", ")) == allowed, name
            looked += 1
    assert looked == 9


def test_a_plan_is_asked_for_and_followed(resnet: Path, tmp_path: Path) -> None:
    curve = onnx_rm.inspect(resnet, plan=True).curve
    assert curve is not None
    assert [point.price.joins for point in curve.points] == [5, 4, 3, 2, 1, 0]
    assert {form.downsample for site in curve.sites for form in site.forms} == {"auto", "v1"}
    assert onnx_rm.inspect(resnet).curve is None
    plan = tmp_path / "plan.json"
    stays = [{"tensor": tensor, "remove": False} for tensor in curve.points[2].kept]
    plan.write_text(json.dumps({"schema_version": 1, "sites": stays}))
    assert onnx_rm.rewrite(resnet, plan=plan, no_verify=True).report.after.joins == len(stays) == 3
    plan.write_text(json.dumps({"schema_version": 1, "sites": [{"tensor": "nowhere", "remove": True}]}))
    with pytest.raises(onnx_rm.OptionError, match="nowhere"):
        onnx_rm.rewrite(resnet, plan=plan)


def test_options_reach_the_library(resnet: Path) -> None:
    options: onnx_rm.InspectOptions = {
        "long_skips": True,
        "objective": "macs",
        "only": ["residual"],
        "max_macs": "1.5x",
        "max_parameters": 100_000,
        "keep": ["a*", "--b"],
        "sites": "*",
        "skip": (),
    }
    asked = onnx_rm.inspect(resnet, **options).options
    assert asked["long_skips"] is True
    assert asked["objective"] == "macs"
    assert asked["limits"] == {"macs": "1.5x", "parameters": "100000", "bytes": None}
    assert asked["keep"] == ["a*", "--b"]
    assert asked["sites"] == ["*"]
    assert asked["families"] == {
        "residual": True,
        "parallel": False,
        "sequence": False,
        "dead": False,
        "transpose": False,
    }
    assert onnx_rm.inspect(resnet, long_skips=False).options["long_skips"] is False


@pytest.mark.parametrize("call", [onnx_rm.rewrite, onnx_rm.inspect, onnx_rm.bench])
def test_what_is_no_option_is_refused(call: Callable[..., object], resnet: Path) -> None:
    models = [resnet, resnet] if call is onnx_rm.bench else [resnet]
    for wrong in ("objectiv", "json", "help", "input"):
        with pytest.raises(TypeError, match=rf"got an unexpected keyword argument '{wrong}'"):
            call(*models, **{wrong: True})


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"downsample": "v3"}, "'v3' is no value of 'downsample': expected one of auto, v1, v2"),
        ({"max_macs": "1.5"}, "'1.5' is no value of 'max_macs': expected a multiple of the original's, as 1.5x"),
        ({"max_macs": 1.5}, "'1.5' is no value of 'max_macs'"),
        ({"only": ["residual", "none"]}, "'none' is no value of 'only'"),
        ({"seed": -1}, "'-1' is no value of 'seed'"),
        ({"input_shape": {"input": (0, 1)}}, "'input:0x1' is no value of 'input_shape'"),
        ({"downsample": True}, "downsample"),
    ],
)
def test_values_that_cannot_be(options: dict[str, Any], words: str, resnet: Path) -> None:
    with pytest.raises(onnx_rm.OptionError) as caught:
        onnx_rm.rewrite(resnet, **options)
    assert words in str(caught.value)
    assert isinstance(caught.value, ValueError)


def test_arrays_can_be_fed(resnet: Path, tmp_path: Path) -> None:
    x = np.random.default_rng(1).normal(size=(2, 1, 8, 8)).astype(np.float32)
    np.savez(tmp_path / "samples.npz", input=x)
    for inputs in (tmp_path / "samples.npz", {"input": x}):
        report = onnx_rm.verify(resnet, resnet, inputs=inputs)
        assert "given" in report.kinds
    with pytest.raises(onnx_rm.OnnxRmError):
        onnx_rm.verify(resnet, resnet, inputs={"nowhere": x})


def test_shapes_can_be_stated(resnet: Path) -> None:
    report = onnx_rm.verify(resnet, resnet, input_shape={"input": (5, 1, 8, 8)})
    assert report.inputs[0].shape == (5, 1, 8, 8)
