"""Writes models of ONNX Runtime's own operators, with inputs and what it computes: fused.py FOLDER.

Each becomes FOLDER/NAME/model.onnx with input_K.pb and output_K.pb beside it. The first ones are made by hand, one node each with random
sizes and attributes; the others are what its optimiser makes of small networks.
"""

import shutil
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto as T
from onnx import helper as H
from onnx import numpy_helper as N

RNG = np.random.default_rng(11)
OURS = "com.microsoft"


def floats(*shape, scale=1.0):
    return (RNG.standard_normal(shape) * scale).astype(np.float32)


def quantised(*shape, dtype=np.uint8):
    info = np.iinfo(dtype)
    return RNG.integers(info.min, info.max + 1, shape).astype(dtype)


def scale(*shape):
    return RNG.uniform(0.01, 0.05, shape).astype(np.float32)


def single(op, inputs, outputs=1, domain=OURS, given=1, opset=21, **attributes):
    """A node: the first `given` inputs are inputs of the model, the others constants, None is left out."""
    names = ["" if v is None else f"i{k}" for k, v in enumerate(inputs)]
    wanted = [f"y{k}" for k in range(outputs)] if isinstance(outputs, int) else outputs
    node = H.make_node(op, names, wanted, domain=domain, **attributes)
    infos, weights = [], []
    for k, (name, value) in enumerate(zip(names, inputs)):
        if value is None:
            continue
        if k < given:
            infos.append(H.make_tensor_value_info(name, H.np_dtype_to_tensor_dtype(value.dtype), value.shape))
        else:
            weights.append(N.from_array(value, name))
    made = [onnx.ValueInfoProto(name=w) for w in wanted if w]
    graph = H.make_graph([node], "g", infos, made, weights)
    imports = [H.make_opsetid("", opset), H.make_opsetid(OURS, 1)]
    return H.make_model(graph, opset_imports=imports, ir_version=10), [v for v in inputs[:given] if v is not None]


def by_hand():
    x, w, z = floats(2, 4, 6, 5), floats(6, 2, 3, 3, scale=0.3), floats(2, 6, 6, 5)
    for name, parameters in [("Relu", []), ("Tanh", []), ("Sigmoid", []), ("LeakyRelu", [0.3]), ("Clip", [-0.5, 0.75]),
                             ("HardSigmoid", [0.3, 0.4])]:
        extra = {"activation_params": parameters} if parameters else {}
        yield f"conv_{name}", single("FusedConv", [x, w, floats(6)], activation=name, group=2, pads=[1] * 4, **extra)
    yield "conv_sum", single("FusedConv", [x, w, floats(6), z], activation="Relu", group=2, pads=[1] * 4)
    for name, parameters in [("Relu", {}), ("LeakyRelu", {"activation_alpha": 0.2}), ("Sigmoid", {}), ("Elu", {"activation_alpha": 0.7})]:
        yield f"gemm_{name}", single("FusedGemm", [floats(3, 4), floats(5, 4), floats(5)], activation=name, alpha=0.5, transB=1,
                                     **parameters)
    yield "matmul", single("FusedMatMul", [floats(2, 3, 4), floats(2, 5, 4)], given=2, alpha=0.25, transB=1)
    yield "matmul_a", single("FusedMatMul", [floats(4, 3), floats(2, 4, 5)], given=2, transA=1)
    yield "matmul_batch", single("FusedMatMul", [floats(4, 2, 3, 5), floats(2, 3, 5, 4)], given=2, transBatchA=1)
    yield "matmul_batches", single("FusedMatMul", [floats(5, 2, 3, 4), floats(5, 2, 3, 4)], given=2, transBatchA=1, transBatchB=1,
                                   transA=1)
    x = floats(2, 3, 8, scale=2.0)
    yield "gelu", single("Gelu", [x])
    yield "fast_gelu", single("FastGelu", [x])
    yield "fast_gelu_bias", single("FastGelu", [x, floats(8)])
    yield "bias_gelu", single("BiasGelu", [x, floats(8)])
    yield "quick_gelu", single("QuickGelu", [x])
    yield "quick_gelu_alpha", single("QuickGelu", [x], alpha=1.1)
    norm = [x, floats(2, 3, 8), floats(8), floats(8), floats(8)]
    yield "skip_norm", single("SkipLayerNormalization", norm[:3], given=2, epsilon=1e-3)
    yield "skip_norm_default", single("SkipLayerNormalization", [v * 1e-3 for v in norm[:4]], given=2)
    yield "skip_norm_bias", single("SkipLayerNormalization", norm, ["y0", "", "", "y3"], given=2, epsilon=1e-3)
    yield "skip_rms", single("SkipSimplifiedLayerNormalization", [*norm[:3], norm[4]], ["y0", "", "", "y3"], given=2, epsilon=1e-3)
    yield "rms", single("SimplifiedLayerNormalization", norm[:1] + norm[2:3], domain="", axis=-1, epsilon=1e-3)
    yield "layer_norm_early", single("LayerNormalization", [x, floats(8), floats(8)], domain="", opset=13, axis=-1)
    for dtype in (np.uint8, np.int8):
        q = lambda *shape: quantised(*shape, dtype=dtype)
        one = [scale(), q()]
        for op in ("QLinearAdd", "QLinearMul"):
            yield f"{op}_{dtype.__name__}", single(op, [q(2, 3, 5), scale(), q(), q(3, 1), scale(), q(), scale(), q()])
        yield f"q_sigmoid_{dtype.__name__}", single("QLinearSigmoid", [q(2, 30), *one, np.float32(1 / 256), q()])
        yield f"q_leaky_{dtype.__name__}", single("QLinearLeakyRelu", [q(2, 30), *one, *one], alpha=0.2)
        yield f"q_pool_{dtype.__name__}", single("QLinearGlobalAveragePool", [q(2, 3, 5, 5), *one, *one], channels_last=0)
        yield f"q_concat_{dtype.__name__}", single("QLinearConcat", [scale(), q(), q(2, 3), scale(), q(), q(2, 4), scale(), q()],
                                                   given=0, axis=1)
        yield f"q_matmul_{dtype.__name__}", single("QLinearMatMul", [q(3, 4), *one, q(4, 5), *one, np.float32(1.0), q()], domain="")
        counts = RNG.integers(-5000, 5000, 6).astype(np.int32)
        # Seven bits: with eight, ONNX Runtime's kernel saturates on processors without VNNI.
        weight = quantised(6, 2, 3, 3, dtype=np.int8) // 2
        conv = [q(2, 4, 6, 5), *one, weight, scale(6), np.zeros(6, np.int8), np.float32(1.5), q(), counts]
        yield f"q_conv_{dtype.__name__}", single("QLinearConv", conv, domain="", group=2, pads=[1] * 4)
    for dtype in (np.uint8, np.int8, np.uint16, np.int16):
        x = floats(3, 40, scale=3.0)
        zero = np.full((), 3, dtype)
        name = dtype.__name__
        yield f"quantize_{name}", single("QuantizeLinear", [x, np.float32(0.05), zero], domain="")
        yield f"quantize_axis_{name}", single("QuantizeLinear", [x, scale(3), np.full(3, 3, dtype)], domain="", axis=0)
    yield "quantize_none", single("QuantizeLinear", [floats(3, 40, scale=3.0), np.float32(0.05)], domain="")
    yield "quantize_blocks", single("QuantizeLinear", [floats(3, 6), scale(3, 3), np.zeros((3, 3), np.int8)], domain="", axis=1, block_size=2)
    yield "dynamic_quantize", single("DynamicQuantizeLinear", [floats(3, 40)], 3, domain="")
    yield "dynamic_quantize_zero", single("DynamicQuantizeLinear", [np.zeros((3, 4), np.float32)], 3, domain="")
    yield from narrow()


def narrow():
    """Weights of four and eight bits behind `DequantizeLinear`."""
    for name in ("INT4", "UINT4", "FLOAT8E4M3FN", "FLOAT8E4M3FNUZ", "FLOAT8E5M2", "FLOAT8E5M2FNUZ"):
        for axis, block, shape in ((None, 0, ()), (1, 0, (5,)), (0, 2, (2, 5))):
            if name.startswith("FLOAT") and block:
                continue
            values = RNG.integers(-7 if name == "INT4" else 0, 8, (3, 5)) if name.endswith("INT4") else floats(3, 5)
            for raw in (False, True):
                stored = H.make_tensor("q", getattr(T, name), (3, 5), values.flatten().tolist())
                if raw:
                    stored.raw_data = bytes(v & 255 for v in stored.int32_data) if stored.int32_data else stored.raw_data
                    stored.ClearField("int32_data")
                step = scale(*shape) if shape else np.float32(0.05)
                zero = [] if name.startswith("FLOAT") else ["z"]
                extra = {} if axis is None else {"axis": axis}
                nodes = [H.make_node("DequantizeLinear", ["q", "s", *zero], ["w"], block_size=block, **extra),
                         H.make_node("Add", ["x", "w"], ["y"])]
                points = int(np.prod(shape)) if shape else 1
                weights = [stored, N.from_array(np.asarray(step), "s")]
                if zero:
                    weights.append(H.make_tensor("z", getattr(T, name), shape, [2] * points))
                graph = H.make_graph(nodes, "g", [H.make_tensor_value_info("x", T.FLOAT, (3, 5))],
                                     [H.make_tensor_value_info("y", T.FLOAT, (3, 5))], weights)
                model = H.make_model(graph, opset_imports=[H.make_opsetid("", 21)], ir_version=10)
                yield f"narrow_{name}_{axis}_{block}_{raw}", (model, [np.zeros((3, 5), np.float32)])


def networks():
    """Small networks that the optimiser has something to fuse in."""
    n, w = H.make_node, lambda name, *shape: N.from_array(floats(*shape, scale=0.3), name)
    info = lambda name, *shape: H.make_tensor_value_info(name, T.FLOAT, shape)
    block = [n("Conv", ["x", "w"], ["a"], pads=[1] * 4), n("Relu", ["a"], ["b"]), n("Conv", ["b", "v"], ["c"], pads=[1] * 4),
             n("Add", ["c", "x"], ["d"]), n("LeakyRelu", ["d"], ["e"], alpha=0.2), n("Flatten", ["e"], ["f"]),
             n("Gemm", ["f", "u"], ["g"], transB=1), n("Relu", ["g"], ["y"])]
    yield "net_block", block, info("x", 1, 3, 8, 8), [w("w", 3, 3, 3, 3), w("v", 3, 3, 3, 3), w("u", 5, 192)]
    token = [n("MatMul", ["x", "w"], ["a"]), n("Add", ["a", "b"], ["h"]), n("Gelu", ["h"], ["g"]), n("MatMul", ["g", "v"], ["c"]),
             n("Add", ["c", "x"], ["d"]), n("LayerNormalization", ["d", "s", "t"], ["e"], axis=-1),
             n("Transpose", ["e"], ["k"], perm=[0, 2, 1]), n("MatMul", ["e", "k"], ["m"]), n("Mul", ["m", "half"], ["y"])]
    yield "net_token", token, info("x", 2, 4, 8), [w("w", 8, 16), w("b", 16), w("v", 16, 8), w("s", 8), w("t", 8),
                                                   N.from_array(np.float32(0.5), "half")]


def optimised(nodes, x, weights):
    graph = H.make_graph(nodes, "g", [x], [onnx.ValueInfoProto(name="y")], weights)
    model = H.make_model(graph, opset_imports=[H.make_opsetid("", 20)], ir_version=9)
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(Path(sys.argv[1]) / "optimised.onnx")
    ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    model = onnx.load(options.optimized_model_filepath)
    return model, [floats(*(d.dim_value for d in x.type.tensor_type.shape.dim))]


def write(name, model, inputs):
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [i.name for i in session.get_inputs()]
    outputs = session.run(None, dict(zip(names, inputs, strict=True)))
    folder = Path(sys.argv[1]) / name
    folder.mkdir()
    onnx.save(model, folder / "model.onnx")
    for kind, values in (("input", inputs), ("output", outputs)):
        for k, value in enumerate(values):
            (folder / f"{kind}_{k}.pb").write_bytes(N.from_array(np.asarray(value)).SerializeToString())
    print(name, *sorted({n.op_type for n in model.graph.node if n.domain == OURS}))


def main():
    ort.set_default_logger_severity(4)
    shutil.rmtree(sys.argv[1], ignore_errors=True)
    Path(sys.argv[1]).mkdir(parents=True)
    for name, (model, inputs) in by_hand():
        write(name, model, inputs)
    for name, nodes, x, weights in networks():
        write(name, *optimised(nodes, x, weights))


main()
