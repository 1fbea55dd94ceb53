"""Rewrites, or checks, every model of a folder or bucket with Ray: one process of the program a model, as many at once as there are cores.

    pip install 'ray[data]'
    python examples/ray_folder.py rewrite models/ chains/ -- --carry conv
    python examples/ray_folder.py rewrite s3://bucket/models s3://bucket/chains
    python examples/ray_folder.py check models/ -- --policy /shared/onnx-rm.toml

On a cluster, set RAY_ADDRESS and have `onnx-rm` (`pip install onnx-rm`) on every node. What stands behind `--` goes to the program. A
model that fails is a row that says so, and the others go on. Exit code 1 when any failed, or when there was none.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path, PurePosixPath

import ray
from pyarrow import fs


def main() -> None:
    args, options = arguments()
    source, root = fs.FileSystem.from_uri(uri(args.models))
    # Read as bytes, so that a bucket does as well as a folder; weights in files of their own are therefore not found.
    models = ray.data.read_binary_files(root, filesystem=source, include_paths=True, file_extensions=["onnx"])
    settings = {"program": args.program, "command": args.command, "root": root, "out": args.out and uri(args.out), "options": options}
    found = models.map(one, fn_kwargs=settings).take_all()
    for row in sorted(found, key=lambda row: row["model"]):
        print(f"{row['state']:7} {row['model']}  {row['message']}")
    failed = sum(row["state"] == "failed" for row in found)
    removed = sum(row["removed"] for row in found)
    print(f"{len(found)} models, {failed} failed, {removed} joins removed")
    sys.exit(1 if failed or not found else 0)


def one(row: dict, program: str, command: str, root: str, out: str | None, options: list[str]) -> dict:
    """Runs the program on one model in a folder of its own, and stores what it wrote under the same name below `out`."""
    name = str(PurePosixPath(row["path"]).relative_to(root))
    with tempfile.TemporaryDirectory() as folder:
        model, rewritten = Path(folder, "model.onnx"), Path(folder, "rewritten.onnx")
        model.write_bytes(row["bytes"])
        files = [model, rewritten] if command == "rewrite" else [model]
        done = subprocess.run([program, command, *files, "--json", *options], capture_output=True, text=True, check=False)
        answer = {
            "model": name,
            "state": "failed",
            "message": done.stderr.strip().replace(folder + "/", ""),
            "removed": 0,
        }
        report = json.loads(done.stdout) if done.stdout.startswith("{") else {}
        if command == "rewrite" and done.returncode == 0:
            store(f"{out}/{name}", rewritten.read_bytes())
            before, after = report["before"]["joins"], report["after"]["joins"]
            return answer | {"state": "done", "message": f"{before} joins, {after} left", "removed": before - after}
        if command == "check" and report:
            findings = [finding["message"] for file in report["files"] for finding in file["findings"]]
            return answer | {"state": "failed" if done.returncode else "passed", "message": "; ".join(findings)}
        return answer


def store(target: str, data: bytes) -> None:
    system, path = fs.FileSystem.from_uri(uri(target))
    system.create_dir(str(PurePosixPath(path).parent), recursive=True)
    with system.open_output_stream(path) as stream:
        stream.write(data)


def uri(place: str) -> str:
    """A path of this machine, or what it is already: `s3://`, `gs://`, ..."""
    return place if "://" in place else str(Path(place).resolve())


def arguments() -> tuple[argparse.Namespace, list[str]]:
    words, options = sys.argv[1:], []
    if "--" in words:
        split = words.index("--")
        words, options = words[:split], words[split + 1 :]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["rewrite", "check"])
    parser.add_argument("models", help="folder, or an address such as s3://bucket/models")
    parser.add_argument("out", nargs="?", help="where rewritten models go, under the same names")
    parser.add_argument("--program", default="onnx-rm")
    args = parser.parse_args(words)
    if (args.command == "rewrite") != (args.out is not None):
        parser.error("`rewrite` takes a folder to write to, `check` takes none")
    return args, options


if __name__ == "__main__":
    main()
