"""examples/ray_folder.py over the models of this repository, on a local cluster; every result is the program's own."""

import json
import os
import shutil
import subprocess
import sys

from common import ROOT, WORK, Report, program, report

EXAMPLE = ROOT / "examples/ray_folder.py"


def example(*words: object) -> tuple[int, str]:
    command = [sys.executable, EXAMPLE, *words]
    surroundings = os.environ | {"RAY_ADDRESS": "local", "RAY_USAGE_STATS_ENABLED": "0"}
    done = subprocess.run(list(map(str, command)), env=surroundings, capture_output=True, text=True, check=False)
    print(done.stdout[-400:], "" if "models, " in done.stdout else done.stderr[-2000:], flush=True)
    return done.returncode, done.stdout


def main(found: Report) -> None:
    expected = json.loads((ROOT / "models/expected.json").read_text())
    folder, out, again = WORK / "ray/models", WORK / "ray/chains", WORK / "ray/alone.onnx"
    shutil.rmtree(folder.parent, ignore_errors=True)
    names = sorted(name for name in expected)
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / "models" / name, folder / name)

    code, text = example("rewrite", folder, out, "--program", program(), "--", "--long-skips")
    rows = {line.split()[1]: line for line in text.splitlines() if line.startswith(("done", "failed"))}
    found.claim(code == 0 and set(rows) == set(names), f"every model has a row: exit code {code}, {len(rows)} of {len(names)}")
    for name, joins in expected.items():
        found.claim(f"{joins['joins']} joins, {joins['left']} left" in rows.get(name, ""), f"{name}: {rows.get(name)}")
    for name in ("digits_resnet.onnx", "blocks/mobileone_block.legacy.onnx"):
        subprocess.run([program(), "rewrite", folder / name, again, "--quiet", "--long-skips"], check=True)
        found.claim(again.read_bytes() == (out / name).read_bytes(), f"{name} is what the program alone writes")

    code, text = example("check", out, "--program", program())
    left = sum(line.startswith("failed") for line in text.splitlines())
    found.claim(f"{len(names)} models" in text and code == (1 if left else 0), f"check looked at all: exit code {code}")
    (folder / "broken.onnx").write_bytes(b"no model")
    code, text = example("check", folder / "blocks/../", "--program", program())
    found.claim(code == 1 and "broken.onnx" in text, "a broken model is a row, and the exit code is 1")
    found.row(
        f"{len(names)} models",
        "--long-skips",
        "",
        f"{sum('done' in line for line in rows.values())} rewritten, each as by the program alone",
    )


if __name__ == "__main__":
    with report("ray", "ray") as found:
        main(found)
