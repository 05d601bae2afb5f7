#!/usr/bin/env bash
# One call on a GPU machine: draw words -> train a reader -> read the real sets. Usage:
#   OUT=out WHEELS=wheels DATA=data benchmarks/gpu_words.sh CONFIG WORDS STEPS [overrides ...]
# DATA holds the test sets as zips. In $OUT are left records, curves and the leaderboard; a reader
# that is larger than 16 MB stays behind. WHEELS: see gpu.sh. Not run yet.
set -euo pipefail
cd "$(dirname "$0")/.."
config=$1 words=$2 steps=$3
shift 3
out=${OUT:-out}
mkdir -p "$out"
if [ -d "${WHEELS:-wheels}" ]; then
    python -m pip install --quiet --no-index --no-deps "${WHEELS:-wheels}"/*.whl
fi
export PYTHONPATH=$PWD
python tools/prepare_data.py synth /tmp/words --words "$words" --workers "$(nproc)"
python tools/pretrain.py "$config" --work-dir /tmp/reader --overwrite --cfg-options \
    "data.train={'type':'ocrpretrain.data.Folder','path':'/tmp/words/words','_delete_':True}" \
    trainer.accelerator=gpu trainer.devices=1 trainer.strategy=auto trainer.precision=bf16-mixed \
    trainer.max_epochs=-1 trainer.max_steps="$steps" "$@"
python tools/export.py /tmp/reader --reader --which last --out /tmp/reader.safetensors
python tools/evaluate.py /tmp/reader.safetensors --results "$out/results.jsonl" --experiment gpu --words \
    "${DATA:-data}/rec_iiit5k_test.zip@official" "${DATA:-data}"/rec_{svt,ic15}_test.zip random
python tools/leaderboard.py "$out/results.jsonl" --wandb disabled
python benchmarks/reading.py --rates 1 256 | tee "$out/rates.txt"
cp /tmp/reader.record.json /tmp/reader/metrics.csv "$out/"
find /tmp/reader.safetensors -size -16M -exec cp {} "$out/" \;
nvidia-smi --query-gpu=name,driver_version --format=csv > "$out/gpu.csv"
