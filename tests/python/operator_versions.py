"""Prints ONNX's own operators: name and first version, and the version that dropped it where one did for good."""

from onnx import defs

versions = {}
for schema in defs.get_all_schemas_with_history():
    if schema.domain == "":
        versions.setdefault(schema.name, []).append((schema.since_version, schema.deprecated))
print("newest", defs.onnx_opset_version())
for name, held in sorted(versions.items()):
    held.sort()
    last, is_gone = held[-1]
    print(name, held[0][0], *([last] if is_gone else []))
