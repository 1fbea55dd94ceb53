"""The program ``onnx-rm``, as ``python -m onnx_rm`` too."""

import sys

from onnx_rm import _native


def main() -> int:
    """Run the program on the arguments of this process.

    Returns
    -------
    int
        Its exit code.
    """
    return _native.main(["onnx-rm", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
