"""Compares the measurements of the corpus with the floor: joins removed, and models failed or wrong.

    floor.py FOLDER_OF_LOGS FLOOR MODELS
"""

import pathlib
import re
import sys

# Networks whose float32 results differ from float64 by as much as the results themselves, on any runtime: in float32 no
# rewrite of them can be judged. Verification compares them in float64.
MEANINGLESS = {"timm_starnet_s1.legacy"}

folder, floor, all_models = pathlib.Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
removed = removable = wrong = models = 0
bad = set()
for path in sorted(folder.iterdir()):
    log = path.read_text(encoding="utf-8").splitlines()
    last = log and re.search(r"removed (\d+) of (\d+) removable joins .*; (\d+) of (\d+) failed or wrong", log[-1])
    if not last:
        sys.exit(f"no figure in the last line of {path.name}: {log[-1:]!r}")
    figures = map(int, last.groups())
    removed, removable, wrong, models = (a + b for a, b in zip((removed, removable, wrong, models), figures))
    rows = [line for line in log[:-1] if re.match(r"\S+ +joins ", line)]
    bad |= {row.split()[0] for row in rows if "joins left" not in row} - MEANINGLESS
print(f"{removed} of {removable} joins removed in {models} models; the floor is {floor}; {wrong} failed or wrong")
if models != all_models:
    sys.exit(f"{models} models were looked at, and there are {all_models}")
if removed < floor:
    sys.exit("fewer joins are removed than before")
if bad:
    sys.exit(f"failed or wrong: {', '.join(sorted(bad))}")
