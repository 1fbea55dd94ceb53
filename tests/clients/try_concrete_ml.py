"""Concrete ML: the network under fully homomorphic encryption. What counts there is bootstraps, not multiply-accumulates.

The compiler reads opset 14. `--fold-head` makes the average pool over a whole map a convolution, in both files.
"""

import onnx
import torch
from concrete.ml.torch.compile import compile_onnx_model

import small
from common import Net, Report, accuracy, attempt, macs, report

IMAGES = 100
ROUNDING = {"n_bits": 6, "method": "approximate"}


def compiled(model, x, bits: int):
    proto = onnx.load(model)
    return compile_onnx_model(proto, x[:100], n_bits=bits, rounding_threshold_bits=ROUNDING)


def main(found: Report) -> None:
    torch.set_num_threads(1)
    net: Net = small.net(opset=14)
    x, labels = net.images(IMAGES)
    original, chain = net.rewrite("--skip", "residual", "--fold-head"), net.rewrite("--carry", "conv", "--fold-head")
    for bits in (6, 4):
        seen = []
        for model in (original, chain):
            module, why = attempt(compiled, model, x, bits)
            if module is None:
                raise RuntimeError(f"{model.name}: {why}")
            circuit = module.fhe_circuit
            right = accuracy(module.forward(x, fhe="disable"), labels)
            seen.append((circuit.programmable_bootstrap_count, circuit.complexity, right))
        words = [f"{count:,} bootstraps, cost {cost:.1e}, {right:.1%} right" for count, cost, right in seen]
        ratios = {"bootstraps": seen[1][0] / seen[0][0], "cost": seen[1][1] / seen[0][1]}
        ratios["macs"] = macs(chain) / macs(original)
        found.claim(ratios["bootstraps"] < 0.8, f"{bits} bits: fewer bootstraps: {ratios}")
        found.claim(bits < 6 or seen[1][2] > seen[0][2] - 0.02, f"{bits} bits: as accurate: {seen}")
        found.row(f"{net.name}, {bits} bits", "--carry conv --fold-head", *words, **ratios)


if __name__ == "__main__":
    with report("concrete_ml", "concrete-ml") as found:
        main(found)
