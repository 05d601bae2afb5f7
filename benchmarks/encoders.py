"""DeepEncoder beside the usual encoders: parameters, tokens, FLOPs, activation memory and time.

python benchmarks/encoders.py                       # published sizes, 512 to 1280 px and a 2:1 page
python benchmarks/encoders.py --size nano --sides 256 512

Forward passes of one image, interleaved over the encoders, medians of 3 rounds; activation memory
is what autograd keeps for a backward, parameters left out. Sides are rounded up to what each
encoder divides (tiles of 448, patches of 28); tokens are the cells of the last map.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from throughput import DEVICE, saved_bytes
from torch.utils.flop_counter import FlopCounterMode

from ocrpretrain.backbones import Adaptive, Backbone, DeepEncoder, DualTower, Tiled
from ocrpretrain.strides import sides

NANO_SAM = {"width": 48, "depth": 4, "heads": 3, "global_blocks": (1, 3), "out_channels": 16}
NANO_VIT = {"size": (112, 112), "patch": (14, 14), "width": 64, "layers": 2, "heads": 2}
SIZES: dict[str, dict[str, Callable[[], Backbone]]] = {
    "published": {
        "DeepEncoder": DeepEncoder,
        "dual tower": DualTower,
        "tiles": Tiled,
        "native size": Adaptive,
    },
    "nano": {
        "DeepEncoder": lambda: DeepEncoder(NANO_SAM, {"width": 64, "layers": 2, "heads": 2}),
        "dual tower": lambda: DualTower(NANO_SAM, NANO_VIT, 64),
        "tiles": lambda: Tiled(NANO_VIT),
        "native size": lambda: Adaptive(NANO_VIT),
    },
}


def image_for(encoder: Backbone, height: int, width: int) -> torch.Tensor:
    """Noise at the least size that holds the page and that the encoder divides."""
    high, wide = sides(encoder.size_divisor)
    size = (-(-height // high) * high, -(-width // wide) * wide)
    return torch.randn(1, 3, *size, device=DEVICE)


def measure(encoders: dict[str, Backbone], height: int, width: int, rounds: int) -> list[str]:
    """One row per encoder."""
    images = {name: image_for(encoder, height, width) for name, encoder in encoders.items()}
    times: dict[str, list[float]] = {name: [] for name in encoders}
    counts: dict[str, tuple[int, float, float]] = {}
    for name, encoder in encoders.items():
        own = {p.untyped_storage().data_ptr() for p in encoder.parameters()}

        def step(encoder: Any = encoder, image: torch.Tensor = images[name]) -> torch.Tensor:
            return encoder(image).maps[-1].square().mean()

        kept = saved_bytes(step, own)
        with FlopCounterMode(display=False) as counter:
            cells = encoder(images[name]).maps[-1]
        counts[name] = (cells.shape[2] * cells.shape[3], counter.get_total_flops(), kept)
    for _ in range(rounds + 1):
        for name, encoder in encoders.items():
            start = time.perf_counter()
            with torch.no_grad():
                encoder(images[name])
            if DEVICE.type == "cuda":
                torch.cuda.synchronize()
            times[name].append(time.perf_counter() - start)
    rows = []
    for name, (tokens, flops, kept) in counts.items():
        millions = sum(p.numel() for p in encoders[name].parameters()) / 1e6
        seconds = statistics.median(times[name][1:])
        numbers = f"{millions:.1f} | {tokens} | {flops / 1e9:.1f} | {kept / 2**30:.2f}"
        rows.append(f"| {width} x {height} | {name} | {numbers} | {seconds:.2f} |")
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", choices=list(SIZES), default="published")
    parser.add_argument("--sides", type=int, nargs="+", default=[512, 640, 1024, 1280])
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    torch.manual_seed(0)
    encoders = {name: make().to(DEVICE).eval() for name, make in SIZES[args.size].items()}
    print(f"{DEVICE}, {torch.get_num_threads()} threads")
    columns = ("page", "encoder", "parameters, M", "tokens", "GFLOP", "activations, GiB", "s")
    print("| " + " | ".join(columns) + " |", "|---" * len(columns) + "|", sep="\n")
    pages = [(side, side) for side in args.sides] + [(args.sides[-1], args.sides[-1] // 2)]
    for height, width in pages:
        print(*measure(encoders, height, width, args.rounds), sep="\n", flush=True)


if __name__ == "__main__":
    main()
