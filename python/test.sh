#!/bin/bash
# Builds the wheel for this machine, installs it and nothing else in a fresh virtual environment, follows the tutorial of
# docs/PYTHON.md there, and then runs the tests and the linters.
#
#   python/test.sh              the profile of `cargo test`, so that what that built is used again
#   python/test.sh release      what would be published
#
# The wheel is left in target/wheels. PYTHON is the interpreter (3.11 or newer); CARGO_TARGET_DIR is respected.
set -euo pipefail
cd "$(dirname "$0")/.."
profile=${1:-dev}
target=${CARGO_TARGET_DIR:-target}
# Only numpy and onnx of the tests ask for more than the package itself, which runs on Python 3.10.
python=${PYTHON:-python3}
tools=$target/python/tools
wheels=$target/wheels
clean=$(mktemp -d)
trap 'rm -rf "$clean"' EXIT

if ! cmp -s python/requirements.txt "$tools/installed.txt"; then
    "$python" -m venv --clear "$tools"
    "$tools/bin/pip" install --quiet --disable-pip-version-check -r python/requirements.txt
    cp python/requirements.txt "$tools/installed.txt"
fi

rm -rf "$wheels"
"$tools/bin/maturin" build --locked --profile "$profile" --manifest-path python/Cargo.toml --out "$wheels"

# The wheel alone.
"$python" -m venv "$clean"
"$clean/bin/pip" install --quiet --disable-pip-version-check --no-index --no-deps "$wheels"/*.whl
"$clean/bin/onnx-rm" --version
"$clean/bin/python" -m doctest docs/PYTHON.md
echo "docs/PYTHON.md: every example does what it shows"

# The wheel, for the tools: what stands beside them is what is tested.
"$tools/bin/pip" install --quiet --disable-pip-version-check --no-index --no-deps --force-reinstall "$wheels"/*.whl
"$tools/bin/ruff" check python
"$tools/bin/ruff" format --check python
(cd python && "../$tools/bin/mypy")
installed=$("$tools/bin/python" -c 'import os, onnx_rm; print(os.path.dirname(onnx_rm.__file__))')
"$tools/bin/python" -m pytest -c python/pyproject.toml --doctest-modules "$installed" python/tests
