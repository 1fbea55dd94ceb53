"""Progress, other threads and Ctrl-C."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from conftest import ends_by_ctrl_c, program

import onnx_rm


def test_progress_is_told_in_the_thread_of_the_caller(resnet: Path) -> None:
    told: list[tuple[onnx_rm.Progress, int]] = []
    onnx_rm.rewrite(resnet, progress=lambda p: told.append((p, threading.get_ident())))
    assert {ident for _, ident in told} == {threading.get_ident()}
    stages = [p.stage for p, _ in told]
    assert stages[0] == "round 1"
    assert "verify" in stages
    assert all(0 <= p.done <= p.total and p.message for p, _ in told)
    told.clear()
    onnx_rm.bench(resnet, resnet, runs=2, progress=lambda p: told.append((p, 0)))
    assert {p.stage for p, _ in told} == {"bench"}


@pytest.mark.parametrize("stage", ["round 1", "verify"])
def test_what_a_callback_raises_ends_the_run(stage: str, resnet: Path, tmp_path: Path) -> None:
    def stop(p: onnx_rm.Progress) -> None:
        if p.stage == stage:
            raise LookupError(p.stage)

    with pytest.raises(LookupError, match=stage):
        onnx_rm.rewrite(resnet, tmp_path / "out.onnx", progress=stop)
    assert list(tmp_path.iterdir()) == []


def test_other_threads_run_meanwhile(resnet: Path) -> None:
    ticks, done = [], threading.Event()

    def tick() -> None:
        while not done.is_set():
            ticks.append(time.perf_counter())
            time.sleep(0.001)

    other = threading.Thread(target=tick)
    other.start()
    begin = time.perf_counter()
    onnx_rm.verify(resnet, resnet)
    took = time.perf_counter() - begin
    done.set()
    other.join()
    gaps = [b - a for a, b in itertools.pairwise(ticks)]
    # Held, the lock would leave one gap as long as the run.
    assert max(gaps) < max(took / 2, 0.1)


def test_runs_do_not_disturb_each_other(resnet: Path) -> None:
    expected = onnx_rm.rewrite(resnet).model
    found: list[bytes] = []
    threads = [threading.Thread(target=lambda: found.append(onnx_rm.rewrite(resnet).model)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 4


@pytest.mark.skipif(os.name == "nt", reason="signals of Unix")
@pytest.mark.parametrize("listens", [False, True])
def test_ctrl_c_raises_keyboard_interrupt(listens: bool, resnet: Path, tmp_path: Path) -> None:
    progress = "lambda p: None" if listens else "None"
    ends_by_ctrl_c(f"onnx_rm.rewrite({str(resnet)!r}, {str(tmp_path / 'out.onnx')!r}, progress={progress})")
    assert {path.name for path in tmp_path.iterdir()} <= {"out.onnx"}


def test_the_program_comes_with_the_package(resnet: Path, tmp_path: Path) -> None:
    assert program("--version").stdout.strip() == f"onnx-rm {onnx_rm.__version__}"
    assert program("rewrite", resnet, tmp_path / "chain.onnx").returncode == 0
    assert program("rewrite", tmp_path / "chain.onnx", tmp_path / "no.onnx", "--require").returncode == 1
    failed = program("inspect", tmp_path / "nowhere.onnx")
    assert failed.returncode == 2
    assert failed.stderr.startswith("error: ")
    assert program("no-command").returncode == 2
    module = subprocess.run([sys.executable, "-m", "onnx_rm", "--version"], capture_output=True, check=True, text=True)
    assert module.stdout == program("--version").stdout
    assert program("--help").stdout.startswith("Removes residual connections")
