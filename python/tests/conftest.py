"""What the tests share."""

from __future__ import annotations

import subprocess
import sys
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
