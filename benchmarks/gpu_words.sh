#!/usr/bin/env bash
# One call on a GPU machine: speed -> draw words -> train a reader on them and on as many fresh ones.
#   OUT=out WHEELS=wheels DATA=data benchmarks/gpu_words.sh CONFIG WORDS STEPS [overrides ...]
# With test sets as zips in DATA it is evaluated too. In $OUT are left rates, records, curves, the
# reader where it is smaller than 16 MB. WHEELS: see gpu.sh. Words are drawn by all cores; while
# training, they are what a GPU waits for.
set -euo pipefail
cd "$(dirname "$0")/.."
config=$1 words=$2 steps=$3
shift 3
out=$(realpath -m "${OUT:-out}") data=${DATA:-data}
mkdir -p "$out"
if [ -d "${WHEELS:-wheels}" ]; then
    python3 -m pip install --quiet --no-index --no-deps --target /tmp/site "${WHEELS:-wheels}"/*.whl
fi
export PYTHONPATH=/tmp/site:$PWD
(cd benchmarks && python3 reading.py --half --rates 1 256 --rounds 10 | tee "$out/rates.txt")
python3 tools/prepare_data.py synth /tmp/words --words "$words" --workers "$(nproc)"
fresh="{'type':'ocrpretrain.data.SyntheticWords','length':4000000,'seed':5}"
drawn="{'type':'ocrpretrain.data.Folder','path':'/tmp/words/words'}"
python3 tools/pretrain.py "$config" --work-dir /tmp/reader --overwrite --cfg-options \
    "data.train={'type':'ocrpretrain.data.Mixed','length':4000000,'weights':[1,1],'sources':[$drawn,$fresh],'_delete_':True}" \
    data.num_workers="$(($(nproc) - 2))" trainer.accelerator=gpu trainer.devices=1 trainer.strategy=auto \
    trainer.precision=bf16-mixed trainer.max_epochs=-1 trainer.max_steps="$steps" \
    trainer.check_val_every_n_epoch=None trainer.val_check_interval="$((steps / 3))" logger.mode=disabled "$@"
python3 tools/export.py /tmp/reader --reader --which last --out /tmp/reader.safetensors
cp /tmp/reader.record.json /tmp/reader/metrics.csv "$out/"
find /tmp/reader.safetensors -size -16M -exec cp {} "$out/" \;
nvidia-smi --query-gpu=name,driver_version --format=csv > "$out/gpu.csv"
if [ -e "$data/rec_iiit5k_test.zip" ]; then
    python3 tools/evaluate.py /tmp/reader.safetensors --results "$out/results.jsonl" --experiment gpu --words \
        "$data/rec_iiit5k_test.zip@official" "$data"/rec_{svt,ic15}_test.zip random
    python3 tools/leaderboard.py "$out/results.jsonl" --wandb disabled
fi
