"""ezkl: rows of a zero-knowledge circuit. Sums of branches cost rows, so folding helps; removing a join does not."""

import json
from pathlib import Path

import ezkl
import numpy as np

from common import ROOT, WORK, Report, compare, fixed, nets, report, rewrite, run

BLOCKS = ("repvgg_block", "mobileone_block", "diverse_branches")


def circuit(model: Path, x: np.ndarray) -> tuple[int, int, np.ndarray]:
    """Rows, the power of two that holds them, and the outputs that the circuit's witness has."""
    folder = WORK / "ezkl" / model.stem
    folder.mkdir(parents=True, exist_ok=True)
    graph, settings, data, compiled, witness = (
        str(folder / name) for name in ("model.onnx", "settings.json", "input.json", "compiled", "witness.json")
    )
    Path(graph).write_bytes(fixed(model).read_bytes())
    Path(data).write_text(json.dumps({"input_data": [x.flatten().tolist()]}))
    asked = ezkl.PyRunArgs()
    asked.input_visibility, asked.output_visibility, asked.param_visibility = "private", "public", "fixed"
    ezkl.gen_settings(graph, settings, py_run_args=asked)
    ezkl.calibrate_settings(data, graph, settings, "resources", scales=[7], max_logrows=22)
    ezkl.compile_circuit(graph, compiled, settings)
    ezkl.gen_witness(data, compiled, witness)
    found = json.loads(Path(settings).read_text())
    outputs = json.loads(Path(witness).read_text())["pretty_elements"]["rescaled_outputs"][0]
    return found["num_rows"], found["run_args"]["logrows"], np.float32(outputs)


def main(found: Report) -> None:
    cases = [(f"blocks/{name}", ROOT / f"models/blocks/{name}.legacy.onnx", "--skip residual", (1, 3, 16, 16)) for name in BLOCKS]
    cases += [(net.name, net.path, "", (1, 1, 8, 8)) for net in nets("digits_resnet")]
    for name, path, options, shape in cases:
        x = np.random.default_rng(0).uniform(0, 1, shape).astype(np.float32)
        expected = run(fixed(path), x).reshape(1, -1)
        seen = [circuit(model, x) for model in (path, rewrite(path, *options.split()))]
        gaps = [compare(expected, outputs) for *_, outputs in seen]
        words = [f"{rows:,} rows in 2^{power}, {gap.error:.1e} apart" for (rows, power, _), gap in zip(seen, gaps, strict=True)]
        ratio = seen[1][0] / seen[0][0]
        found.claim(all(gap.error < 0.1 for gap in gaps), f"{name}: the circuit computes the same: {words}")
        found.claim(ratio < 0.9 or not options, f"{name}: fewer rows: {words}")
        found.row(name, options, words[0], f"{words[1]}: {ratio:.2f}x", ratio=ratio)


if __name__ == "__main__":
    with report("ezkl", "ezkl") as found:
        main(found)
