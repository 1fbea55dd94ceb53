"""Prints a protobuf schema, one line a message, enum, field or value.

Without an argument it is the schema inside the `onnx` package, else that of the FileDescriptorSet in the file named.
"""

import sys

from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet
from onnx import onnx_ml_pb2


def main():
    file = FileDescriptorProto()
    if len(sys.argv) > 1:
        with open(sys.argv[1], "rb") as f:
            (file,) = FileDescriptorSet.FromString(f.read()).file
    else:
        onnx_ml_pb2.DESCRIPTOR.CopyToProto(file)
    # An empty syntax means proto2, see descriptor.proto.
    print("file", file.package, file.syntax or "proto2", *file.dependency)
    for enum in file.enum_type:
        print_enum(file.package, enum)
    for message in file.message_type:
        print_message(file.package, message)


def print_message(scope, message):
    name = f"{scope}.{message.name}"
    print("message", name, "map_entry" if message.options.map_entry else "")
    for field in message.field:
        kind = FieldDescriptorProto.Type.Name(field.type)
        label = FieldDescriptorProto.Label.Name(field.label)
        oneof = message.oneof_decl[field.oneof_index].name if field.HasField("oneof_index") else "-"
        packed = field.options.packed if field.options.HasField("packed") else "-"
        default = field.default_value if field.HasField("default_value") else "-"
        print("field", name, field.number, field.name, label, kind, field.type_name.lstrip(".") or "-",
              f"packed={packed} oneof={oneof} default={default}")
    for extended in message.extension_range:
        print("extensions", name, extended.start, extended.end)
    for enum in message.enum_type:
        print_enum(name, enum)
    for inner in message.nested_type:
        print_message(name, inner)


def print_enum(scope, enum):
    for value in enum.value:
        print("value", f"{scope}.{enum.name}", value.number, value.name)


main()
