#!/usr/bin/env python3
"""Makes of a built program what is released: an archive with manual pages and completions, as `cargo binstall` will look for it.

    .ci/dist.py TARGET [--bin target/release/onnx-rm]

Everything goes to target/dist: `man` and `completions`, which `cargo deb` takes from there too, and the archive. Its name and the place of the program
in it are those that Cargo.toml tells `cargo binstall`, so they cannot differ. What was made is tried: the archive is unpacked, the program in it is run, and
every file that the Debian package lists must be there. Needs Python 3.11 and nothing else.
"""

import argparse
import gzip
import io
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import tomllib

ROOT = pathlib.Path(__file__).resolve().parents[1]
DIST = ROOT / "target/dist"
SHELLS = {"bash": "onnx-rm.bash", "zsh": "_onnx-rm", "fish": "onnx-rm.fish", "powershell": "_onnx-rm.ps1"}
BESIDE = ["README.md", "CHANGELOG.md", "LICENSE-APACHE", "LICENSE-MIT"]


def filled(template: str, words: dict[str, str]) -> str:
    """`template` with its `{ names }` replaced, as binstall does."""
    return re.sub(r"\{ *([a-z-]+) *\}", lambda found: words[found[1]], template)


def generate(program: pathlib.Path) -> None:
    """Lets the program write its manual pages and completions."""
    for name in ("man", "completions"):
        shutil.rmtree(DIST / name, ignore_errors=True)
        (DIST / name).mkdir(parents=True)
    subprocess.run([program, "man", DIST / "man"], check=True)
    for shell, file in SHELLS.items():
        script = subprocess.run([program, "completions", shell], check=True, capture_output=True).stdout
        (DIST / "completions" / file).write_bytes(script)


def pack(archive: pathlib.Path, files: dict[str, pathlib.Path], program: str) -> None:
    """Writes the files by their names in `archive`. The same files give the same bytes."""
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as out:
        for name, path in sorted(files.items()):
            entry = tarfile.TarInfo(name)
            entry.size = path.stat().st_size
            entry.mode = 0o755 if name == program else 0o644
            with path.open("rb") as content:
                out.addfile(entry, content)
    with archive.open("wb") as raw, gzip.GzipFile(filename="", fileobj=raw, mode="wb", mtime=0) as out:
        out.write(tar.getvalue())


def try_archive(archive: pathlib.Path, place: str, version: str) -> None:
    """Unpacks it elsewhere and runs the program in it."""
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(archive) as packed:
            packed.extractall(folder, filter="data")
        said = subprocess.run([pathlib.Path(folder) / place, "--version"], check=True, capture_output=True, text=True)
    if said.stdout.strip() != f"onnx-rm {version}":
        sys.exit(f"the program in the archive says {said.stdout!r}")


def try_assets(assets: list[list[str]]) -> None:
    """Every file of the Debian package but the program is there, and all pages and completions that a Debian system reads are in it."""
    taken = {path for source, _, _ in assets if source != "target/release/onnx-rm" for path in found(source)}
    made = {*DIST.glob("man/*"), *(DIST / "completions" / SHELLS[shell] for shell in ("bash", "zsh", "fish"))}
    if left := made - taken:
        sys.exit(f"[package.metadata.deb] of Cargo.toml lacks {sorted(map(str, left))}")


def found(source: str) -> list[pathlib.Path]:
    """The files that a line of the Debian package means."""
    files = list(ROOT.glob(source))
    if not files:
        sys.exit(f"[package.metadata.deb] of Cargo.toml names {source}, which is not there")
    return files


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("target", help="for what the program was built, as x86_64-unknown-linux-gnu")
    parser.add_argument("--bin", type=pathlib.Path, help="the program")
    asked = parser.parse_args()
    manifest = tomllib.loads((ROOT / "Cargo.toml").read_text(encoding="utf-8"))
    version, package = manifest["workspace"]["package"]["version"], manifest["package"]
    tag = os.environ.get("GITHUB_REF_NAME") if os.environ.get("GITHUB_REF_TYPE") == "tag" else None
    if tag not in (None, f"v{version}"):
        sys.exit(f"the tag is {tag}, and the version is {version}")
    suffix = ".exe" if "windows" in asked.target else ""
    program = (asked.bin or ROOT / f"target/release/onnx-rm{suffix}").resolve()
    binstall = package["metadata"]["binstall"]
    if binstall["pkg-fmt"] != "tgz":
        sys.exit("only .tgz is packed here")
    words = {"repo": "", "name": package["name"], "version": version, "target": asked.target, "bin": "onnx-rm"}
    words |= {"binary-ext": suffix, "archive-suffix": ".tgz"}
    place = filled(binstall["bin-dir"], words)
    generate(program)
    folder = pathlib.PurePosixPath(place).parent
    files = {place: program} | {f"{folder}/{name}": ROOT / name for name in BESIDE}
    files |= {f"{folder}/{path.parent.name}/{path.name}": path for path in DIST.glob("*/*")}
    archive = DIST / filled(binstall["pkg-url"], words).rsplit("/", 1)[-1]
    pack(archive, files, place)
    try_archive(archive, place, version)
    try_assets(package["metadata"]["deb"]["assets"])
    print(archive.relative_to(ROOT))


if __name__ == "__main__":
    main()
