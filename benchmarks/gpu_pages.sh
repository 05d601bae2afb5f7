#!/usr/bin/env bash
# One call on a GPU machine: train a reader of pages and its controls -> read test pages -> speed.
#   OUT=out WHEELS=wheels benchmarks/gpu_pages.sh CONFIG STEPS [overrides ...]
# Nothing travels there but the repository: pages are drawn while training. In $OUT are left records,
# curves, the leaderboard with its plot, rates. WHEELS: see gpu.sh. Not run yet.
set -euo pipefail
cd "$(dirname "$0")/.."
config=$1 steps=$2
shift 2
out=$(realpath -m "${OUT:-out}")
mkdir -p "$out"
if [ -d "${WHEELS:-wheels}" ]; then
    python3 -m pip install --quiet --no-index --no-deps --target /tmp/site "${WHEELS:-wheels}"/*.whl
fi
export PYTHONPATH=/tmp/site:$PWD
for sees in page nothing text; do
    frozen=()
    [ "$sees" = page ] || frozen=("freeze=['backbone.']")
    python3 tools/pretrain.py "$config" --work-dir "/tmp/$sees" --overwrite --cfg-options \
        head.sees="$sees" "${frozen[@]}" trainer.accelerator=gpu trainer.devices=1 trainer.strategy=auto \
        trainer.precision=bf16-mixed data.num_workers="$(nproc)" \
        trainer.max_epochs=-1 trainer.max_steps="$steps" logger.mode=disabled "$@"
    python3 tools/export.py "/tmp/$sees" --reader --which last --out "/tmp/$sees.safetensors"
    python3 tools/evaluate.py "/tmp/$sees.safetensors" --pages natural shuffled letters \
        --results "$out/results.jsonl" --experiment gpu
    cp "/tmp/$sees.record.json" "$out/"
    cp "/tmp/$sees/metrics.csv" "$out/$sees.csv"
done
python3 tools/leaderboard.py "$out/results.jsonl" --wandb disabled
cd benchmarks
python3 deep_encoder.py --bf16 --sides 640 1024 --batch 8 | tee "$out/forward.txt"
python3 deep_encoder.py --bf16 --sides 640 1024 --batch 4 --train | tee "$out/train.txt"
python3 encoders.py --plot "$out/encoders.png" | tee "$out/encoders.txt"
nvidia-smi --query-gpu=name,driver_version --format=csv > "$out/gpu.csv"
