"""docs/TUTORIAL.md, command by command, in a folder of its own."""

import os
import subprocess
from collections import Counter

from common import WORK, operators, program, report
from pages import blocks

with report("tutorial", "torch", "onnx", "onnxruntime") as found:
    folder = WORK / "tutorial"
    folder.mkdir(parents=True, exist_ok=True)
    os.chdir(folder)
    os.environ["PATH"] = f"{program().resolve().parent}{os.pathsep}{os.environ['PATH']}"
    names: dict = {}
    ran: Counter = Counter()
    for language, text in blocks("docs/TUTORIAL.md"):
        if language == "python":
            exec(text, names)
        elif not text.startswith("pip install"):
            done = subprocess.run(["bash", "-euo", "pipefail", "-c", text], check=False)
            found.claim(done.returncode == 0, f"exit code {done.returncode}: {text.strip()}")
        ran[language] += 1
    left = {name: operators(folder / f"{name}.onnx") for name in ("digits", "plain")}
    found.claim(left["digits"]["Add"] > 0, "the exported network has residual connections")
    found.claim(set(left["plain"]) == {"Conv", "Relu", "Flatten"}, f"plain.onnx is convolutions: {left['plain']}")
    words = ", ".join(f"{count} {operator}" for operator, count in sorted(left["plain"].items()))
    found.row("the tutorial's network", "--carry conv --fold-head", f"{left['digits']['Add']} joins", words, blocks=dict(ran))
