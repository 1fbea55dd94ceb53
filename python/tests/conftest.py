"""What the tests share."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MODELS = ROOT / "models"


@pytest.fixture
def resnet() -> Path:
    """A trained residual network: five joins."""
    return MODELS / "digits_resnet.onnx"


@pytest.fixture
def block() -> Path:
    """One residual block with random weights."""
    return MODELS / "blocks" / "basic_identity.legacy.onnx"


def program(*words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run the program that the wheel installs."""
    command = [str(Path(sys.executable).with_name("onnx-rm")), *map(str, words)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def ends_by_ctrl_c(call: str) -> None:
    """Repeat `call` in a process of its own, and assert that an interrupt ends it soon, as a KeyboardInterrupt."""
    code = f"""
import onnx_rm, signal, sys
# Whoever starts the tests may have it ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
print("ready", flush=True)
try:
    while True:
        {call}
except KeyboardInterrupt:
    sys.exit(42)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            time.sleep(0.5)
            begin = time.perf_counter()
            process.send_signal(signal.SIGINT)
            assert process.wait(timeout=30) == 42
            assert time.perf_counter() - begin < 10
        finally:
            process.kill()
