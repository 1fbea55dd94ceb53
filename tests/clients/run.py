#!/usr/bin/env python3
"""Tries clients on trained networks, as they are and rewritten: each in a virtual environment of its own.

    tests/clients/run.py openvino ncnn      # these
    tests/clients/run.py --small            # those that CI runs: one environment of 350 MB, without torch and tensorflow
    tests/clients/run.py --all

Writes one JSON file a client and `clients.md`, the table, to target/clients. Exit code 1 when a claim did not hold or a
test broke, or when nothing ran. A client that cannot be installed is SKIPPED, and that is said.
"""

import argparse
import json
import os
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]

# One thread, so that times are comparable, and no chatter.
QUIET = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "TF_CPP_MIN_LOG_LEVEL": "3"}


@dataclass(frozen=True)
class Client:
    """A script `try_NAME.py`, and the packages it needs: requirements/ENVIRONMENT.txt."""

    environment: str
    small: bool = False


CLIENTS = {
    "openvino": Client("openvino"),
    "ncnn": Client("small", small=True),
    "tract": Client("small", small=True),
    "litert": Client("litert"),
    "akida": Client("akida"),
    "sinabs": Client("torch"),
    "concrete_ml": Client("concrete_ml"),
    "hls4ml": Client("hls4ml"),
    "relevance": Client("torch"),
    "ezkl": Client("ezkl"),
    "torch_pruning": Client("torch"),
    "iree": Client("iree"),
    "rknn": Client("rknn"),
    "esp_ppq": Client("quantizers"),
    "mct": Client("quantizers"),
    "qualia": Client("quantizers"),
    "deeploy": Client("deeploy"),
    "tutorial": Client("torch"),
    "ray": Client("ray"),
}


def main() -> None:
    args = arguments()
    names = [n for n, c in CLIENTS.items() if args.all or (args.small and c.small) or n in args.names]
    if not names or set(args.names) - set(CLIENTS):
        sys.exit(f"name clients, of {', '.join(CLIENTS)}; or --small, or --all")
    results = {name: attempt(name, args) for name in names}
    table = markdown(results)
    (args.out / "clients.md").write_text(table)
    print(table)
    states = {name: result["state"] for name, result in results.items()}
    print(", ".join(f"{name} {state}" for name, state in states.items()))
    if "FAILED" in states.values() or "ok" not in states.values():
        sys.exit(1)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--small", action="store_true", help="the ones that CI runs")
    parser.add_argument("--bin", type=Path, help="the program; default: the one built last under target")
    parser.add_argument("--out", type=Path, default=ROOT / "target/clients")
    parser.add_argument("--venvs", type=Path, help="where virtual environments are; default: below --out")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    return args


def attempt(name: str, args: argparse.Namespace) -> dict:
    """The record that the client's script wrote, with its state: ok, FAILED or SKIPPED."""
    print(f"== {name}", flush=True)
    python, reason = environment(CLIENTS[name].environment, args.venvs or args.out / "venvs")
    if reason:
        print(f"SKIPPED {name}: {reason}", flush=True)
        return {"state": "SKIPPED", "reason": reason}
    result = args.out.resolve() / f"{name}.json"
    result.unlink(missing_ok=True)
    surroundings = os.environ | QUIET | {"ONNX_RM_RESULT": str(result), "ONNX_RM_WORK": str(args.out.resolve() / "work")}
    if args.bin:
        surroundings["ONNX_RM"] = str(args.bin.resolve())
    surroundings["PATH"] = f"{python.parent}{os.pathsep}{surroundings['PATH']}"
    done = subprocess.run([python, HERE / f"try_{name}.py"], cwd=ROOT, env=surroundings, check=False)
    record = json.loads(result.read_text()) if result.exists() else {"failed": [f"exit code {done.returncode}"]}
    return record | {"state": "FAILED" if done.returncode or record["failed"] else "ok"}


def environment(name: str, folder: Path) -> tuple[Path, str]:
    """The interpreter of a virtual environment with the packages asked for, and why there is none."""
    # What one package asks for and the test does not use (torch for a converter that is one program) stays away.
    asked = [(HERE / "requirements" / f"{name}{kind}.txt", flags) for kind, flags in (("", []), (".alone", ["--no-deps"]))]
    asked = [(file, flags) for file, flags in asked if file.exists()]
    wanted = "".join(file.read_text() for file, _ in asked)
    place = folder.resolve() / name
    python, stamp = place / "bin/python", place / "installed.txt"
    if stamp.exists() and stamp.read_text() == wanted:
        return python, ""
    venv.create(place, with_pip=True, clear=True)
    for file, flags in asked:
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *flags, "-r", file]
        done = subprocess.run(pip, capture_output=True, text=True, check=False)
        if done.returncode:
            return python, (done.stderr.strip().splitlines() or ["pip failed"])[-1]
    stamp.write_text(wanted)
    return python, ""


def markdown(results: dict[str, dict]) -> str:
    lines = ["| client | network | original | options of `rewrite` | rewritten |", "|---|---|---|---|---|"]
    for name, result in results.items():
        if result["state"] == "SKIPPED":
            lines.append(f"| {name} | | SKIPPED: {result['reason']} | | |")
        versions = ", ".join(f"{package} {version}" for package, version in result.get("versions", {}).items())
        for row in result.get("rows", []):
            cells = [versions, row["net"], row["original"], f"`{row['command']}`" if row["command"] else "(defaults)", row["rewritten"]]
            lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
        for failure in result.get("failed", []):
            lines.append(f"| {name} | | FAILED: {failure} | | |".replace("\n", " "))
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
