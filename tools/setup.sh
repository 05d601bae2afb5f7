#!/usr/bin/env bash
# Creates .venv and installs the pinned set; does nothing where it is there already.
# The stamp is a hash of the pins: a changed pin installs again.
set -euo pipefail
cd "$(dirname "$0")/.."
stamp=.venv/.installed
wanted=$(cat pyproject.toml constraints.txt tools/setup.sh | sha256sum | cut -d' ' -f1)
if [ "$(cat $stamp 2>/dev/null)" = "$wanted" ]; then exit 0; fi

start=$(date +%s)
step() { echo "[setup $(( $(date +%s) - start )) s] $*"; }
python=""
for candidate in "${PYTHON:-}" python3.11 python3.12 python3; do
    if [ -n "$candidate" ] && "$candidate" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 13))' 2>/dev/null; then
        python=$candidate
        break
    fi
done
if [ -z "$python" ]; then echo "setup: needs Python 3.11 or 3.12 (set PYTHON=...)" >&2; exit 2; fi

step "creating .venv with $($python --version)"
[ -x .venv/bin/python ] || "$python" -m venv .venv
pip() { .venv/bin/python -m pip --disable-pip-version-check "$@"; }
step "torch and torchvision: the large download (5.5 GB installed)"
pip install --quiet --progress-bar off torch==2.14.1 torchvision==0.29.1
step "the other packages"
pip install --quiet --progress-bar off -c constraints.txt -e '.[transfer,fonts,dev]'

if ! .venv/bin/python -c 'import cv2' 2>/dev/null; then
    version=$(.venv/bin/python -c 'from importlib.metadata import version; print(version("opencv-python"))')
    step "OpenCV does not import here (no libGL?): taking opencv-python-headless $version instead"
    pip uninstall --quiet --yes opencv-python
    pip install --quiet --progress-bar off --no-deps "opencv-python-headless==$version"
    .venv/bin/python -c 'import cv2'
fi
echo "$wanted" > $stamp
step "done"
