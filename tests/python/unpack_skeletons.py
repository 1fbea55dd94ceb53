"""Unpacks all corpus skeletons as they are, without weights: unpack_skeletons.py CORPUS FOLDER."""

import lzma
import sys
from pathlib import Path

corpus, target = map(Path, sys.argv[1:])
target.mkdir(parents=True, exist_ok=True)
for path in sorted((corpus / "skeletons").glob("*.skel.xz")):
    (target / path.name.replace(".skel.xz", ".onnx")).write_bytes(lzma.open(path).read())
