"""Writes the tables of `models/README.md`: the families, and every file with its size and SHA-256 digest.

Usage: python models/make/catalogue.py
"""

import hashlib
import pathlib
import re

import gated
import linear
import residual
import rows
import wiring

FOLDER = pathlib.Path(__file__).resolve().parent.parent
GROUPS = {
    "residual.py": residual.FAMILIES,
    "gated.py": gated.FAMILIES,
    "wiring.py": wiring.FAMILIES,
    "linear.py": linear.FAMILIES,
    "rows.py": rows.FAMILIES,
}


def main():
    readme = FOLDER / "README.md"
    text = readme.read_text()
    for name, table in (("families", families()), ("files", files())):
        marks = f"<!-- {name} -->", f"<!-- end of {name} -->"
        pattern = re.escape(marks[0]) + ".*?" + re.escape(marks[1])
        text, found = re.subn(pattern, lambda _: f"{marks[0]}\n{table}{marks[1]}", text, flags=re.S)
        assert found == 1, name
    readme.write_text(text)


def families():
    lines = ["| family | made in | block |", "|---|---|---|"]
    for source, group in GROUPS.items():
        lines += [f"| `{name}` | `{source}` | {build.__doc__.strip()} |" for name, build in group.items()]
    return "\n".join(lines) + "\n"


def files():
    lines = ["| file | bytes | SHA-256 |", "|---|---|---|"]
    for path in sorted(p for suffix in ("onnx", "npz") for p in FOLDER.rglob(f"*.{suffix}")):
        content = path.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        lines.append(f"| `{path.relative_to(FOLDER).as_posix()}` | {len(content):,} | `{digest}` |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
