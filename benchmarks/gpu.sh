#!/usr/bin/env bash
# One call on a GPU machine: pretrain -> export -> finetune -> evaluate -> leaderboard.
# Only records, curves, pictures and small weights are left in $OUT. Usage:
#   OUT=out WHEELS=wheels benchmarks/gpu.sh PRETRAIN_CONFIG FINETUNE_CONFIG [pretrain overrides ...]
# WHEELS is a folder of wheels for what the machine lacks; nothing is downloaded.
set -euo pipefail
cd "$(dirname "$0")/.."
pretrain=$1 finetune=$2
shift 2
out=${OUT:-out}
mkdir -p "$out"
if [ -d "${WHEELS:-wheels}" ]; then
    python -m pip install --quiet --no-index --no-deps "${WHEELS:-wheels}"/*.whl
fi
export PYTHONPATH=$PWD
python tools/pretrain.py "$pretrain" --work-dir /tmp/pretrain --overwrite \
    --cfg-options trainer.accelerator=gpu trainer.devices=1 trainer.strategy=auto "$@"
python tools/export.py /tmp/pretrain --out /tmp/transfer.safetensors
for name in random pretrained; do
    weights=(/tmp/transfer.safetensors)
    [ $name = random ] && weights=(none --like /tmp/transfer.safetensors)
    python tools/finetune.py "$finetune" --weights "${weights[@]}" --work-dir /tmp/$name --overwrite
    python tools/evaluate.py /tmp/$name --results "$out/results.jsonl" --experiment gpu
    cp /tmp/$name/losses.csv "$out/losses_$name.csv"
done
python tools/leaderboard.py "$out/results.jsonl" --wandb disabled
cp /tmp/pretrain/metrics.csv /tmp/pretrain/run.json "$out/"
nvidia-smi --query-gpu=name,driver_version --format=csv > "$out/gpu.csv"
