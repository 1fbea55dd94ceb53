"""Prints what the operator schemas of the `onnx` package say of types and defaults, as src/graph/operators.txt has it.

`newest N` is the newest operator set, `set N = TYPE...` names a set of types. Each other line is one version of one operator:
`NAME VERSION | INPUTS > OUTPUTS | SYMBOL=SET... | ATTRIBUTE:KIND=DEFAULT...`. A type is a symbol or a type of ONNX; `?` behind it
means that it may be left out, `*` that it repeats with one type, `**` with any types. `!` behind the version: no longer an operator.
"""

import onnx
from onnx import AttributeProto as A
from onnx.defs import OpSchema, get_all_schemas_with_history

KINDS = {A.INT: "i", A.FLOAT: "f", A.STRING: "s", A.INTS: "ints", A.FLOATS: "floats", A.STRINGS: "strings"}


def plain(name):
    """tensor(float) is float; other types keep their names."""
    return name[7:-1] if name.startswith("tensor(") else name


def parameter(p):
    repeats = p.option == OpSchema.FormalParameterOption.Variadic
    optional = p.option == OpSchema.FormalParameterOption.Optional
    return plain(p.type_str) + ("?" if optional else ("*" if p.is_homogeneous else "**") if repeats else "")


def default(attribute):
    value = onnx.helper.get_attribute_value(attribute.default_value)
    one = lambda v: v.decode() if isinstance(v, bytes) else repr(v)
    text = ",".join(map(one, value)) if isinstance(value, (list, tuple)) else one(value)
    assert text and not set(text) & set(" |=:"), text
    return f"{attribute.name}:{KINDS[attribute.default_value.type]}={text}"


def main():
    schemas = [s for s in get_all_schemas_with_history() if s.domain == ""]
    schemas.sort(key=lambda s: (s.name, s.since_version))
    types = lambda c: " ".join(sorted(map(plain, c.allowed_type_strs)))
    sets = sorted({types(c) for s in schemas for c in s.type_constraints})
    print("newest", onnx.defs.onnx_opset_version())
    for number, members in enumerate(sets):
        print(f"set {number} = {members}")
    for s in schemas:
        rule = " ".join(map(parameter, s.inputs)) + " > " + " ".join(map(parameter, s.outputs))
        symbols = " ".join(f"{c.type_param_str}={sets.index(types(c))}" for c in s.type_constraints)
        known = [a for _, a in sorted(s.attributes.items()) if a.default_value.type in KINDS]
        version = f"{s.since_version} !" if s.deprecated else s.since_version
        print(f"{s.name} {version} | {rule} | {symbols} | {' '.join(map(default, known))}".rstrip())


main()
