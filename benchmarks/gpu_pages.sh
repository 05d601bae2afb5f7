#!/usr/bin/env bash
# One call on a GPU machine: train a reader of pages and its controls -> read test pages -> speed.
#   OUT=out WHEELS=wheels IMAGES=200000 benchmarks/gpu_pages.sh CONFIG STEPS [overrides ...]
# Nothing travels there but the repository: pages are drawn there once, and all readers train on them
# at the same time, since none of them fills a GPU. In $OUT are left records, curves, the
# leaderboard with its plot, rates. WHEELS: see gpu.sh. Tried with STEPS=4 on a CPU (DEVICE=cpu).
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
python3 tools/prepare_data.py shards "$config" data/pages --images "${IMAGES:-200000}" --workers "$(nproc)"

read_pages() {
    set -e
    sees=$1 frozen=()
    shift
    [ "$sees" = page ] || frozen=("freeze=['backbone.']")
    python3 tools/pretrain.py "$config" --work-dir "/tmp/$sees" --overwrite --cfg-options \
        "data.train={'type':'ocrpretrain.data.Folder','path':'data/pages','_delete_':True}" \
        head.sees="$sees" "${frozen[@]}" trainer.accelerator="${DEVICE:-gpu}" trainer.devices=1 \
        trainer.precision=bf16-mixed trainer.max_epochs=-1 trainer.max_steps="$steps" \
        trainer.enable_progress_bar=False logger.mode=disabled "$@"
    python3 tools/export.py "/tmp/$sees" --reader --which last --out "/tmp/$sees.safetensors"
    python3 tools/evaluate.py "/tmp/$sees.safetensors" --pages natural shuffled letters \
        --results "$out/results.jsonl" --experiment gpu
    cp "/tmp/$sees.record.json" "$out/"
    cp "/tmp/$sees/metrics.csv" "$out/$sees.csv"
}
readers=()
for sees in page nothing text; do
    OMP_NUM_THREADS=1 read_pages "$sees" "$@" > "$out/$sees.log" 2>&1 &
    readers+=($!)
done
failed=0
for reader in "${readers[@]}"; do wait "$reader" || failed=1; done
[ $failed = 0 ] || tail -n 5 "$out"/*.log
python3 tools/leaderboard.py "$out/results.jsonl" --wandb disabled
[ "${DEVICE:-gpu}" = gpu ] || exit $failed
cd benchmarks
python3 deep_encoder.py --bf16 --sides 640 1024 --batch 8 | tee "$out/forward.txt"
python3 deep_encoder.py --bf16 --sides 640 1024 --batch 4 --train | tee "$out/train.txt"
python3 deep_encoder.py --bf16 --sides 1024 --batch 8 --train --compile | tee "$out/compiled.txt"
python3 encoders.py --plot "$out/encoders.png" | tee "$out/encoders.txt"
nvidia-smi --query-gpu=name,driver_version --format=csv > "$out/gpu.csv"
exit $failed
