#!/bin/bash
# Opens pages of `--report` in Chromium, uses them by mouse and by keyboard, and reads them.
#
#   tests/page/test.sh              needs target/debug/onnx-rm, or what BIN names
#   tests/page/test.sh FOLDER       leaves screenshots there, to be looked at
#
# The browser is Debian's; where there is none it is installed, if that is allowed. The driver comes from PyPI into target/.
set -euo pipefail
cd "$(dirname "$0")/../.."
target=${CARGO_TARGET_DIR:-target}
bin=${BIN:-$target/debug/onnx-rm}
tools=$target/python/browser

skip() {
    echo "SKIPPED: no page was opened in a browser, for $1"
    exit 0
}

[ -x "$bin" ] || { echo "$bin is missing: cargo test --workspace --no-run builds it" >&2; exit 1; }

find_browser() {
    command -v chromium || command -v chromium-browser || command -v google-chrome
}
if ! browser=$(find_browser); then
    [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null || skip "there is no Chromium, and only root of a Debian system can install one here"
    log=$(mktemp)
    if ! { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends chromium fonts-dejavu-core; } >"$log" 2>&1; then
        tail -5 "$log"
        skip "Chromium could not be installed"
    fi
    rm -f "$log"
    browser=$(find_browser) || skip "Chromium was installed and is not found"
fi

if ! cmp -s tests/page/requirements.txt "$tools/installed.txt"; then
    if ! { "${PYTHON:-python3}" -m venv --clear "$tools" &&
        "$tools/bin/pip" install --quiet --disable-pip-version-check -r tests/page/requirements.txt; }; then
        skip "the packages of tests/page/requirements.txt could not be installed"
    fi
    cp tests/page/requirements.txt "$tools/installed.txt"
fi
"$tools/bin/python" -B tests/page/browser.py "$bin" "$browser" "${1:-}"
