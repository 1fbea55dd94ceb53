"""Compares the last line of the corpus measurement with the floor: joins removed, and models failed or wrong."""

import re
import sys

# Networks whose float32 results differ from float64 by as much as the results themselves, on any runtime: in float32 no
# rewrite of them can be judged. Verification compares them in float64.
MEANINGLESS = {"timm_starnet_s1.legacy"}

log, floor = open(sys.argv[1], encoding="utf-8").read().splitlines(), int(sys.argv[2])
last = re.search(r"removed (\d+) of (\d+) removable joins .*; (\d+) of (\d+) failed or wrong", log[-1])
if last is None:
    sys.exit(f"no figure in the last line: {log[-1]!r}")
removed, removable, wrong, models = map(int, last.groups())
rows = [line for line in log[:-1] if re.match(r"\S+ +joins ", line)]
bad = {row.split()[0] for row in rows if "joins left" not in row} - MEANINGLESS
print(f"{removed} of {removable} joins removed in {models} models; the floor is {floor}; {wrong} failed or wrong")
if removed < floor:
    sys.exit("fewer joins are removed than before")
if bad:
    sys.exit(f"failed or wrong: {', '.join(sorted(bad))}")
