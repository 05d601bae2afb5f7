"""DeepEncoder beside the usual encoders: parameters, tokens, FLOPs, activation memory and time.

python benchmarks/encoders.py                       # published sizes, 512 to 1280 px and a 2:1 page
python benchmarks/encoders.py --size nano --sides 256 512 --plot encoders.png
python benchmarks/encoders.py --rounds 0                    # no times: 5 minutes of one core

Forward passes of one image, interleaved over the encoders, medians of 3 rounds; activation memory
is what autograd keeps for a backward, parameters left out. It and FLOPs are counted on tensors
without values. Sides are rounded up to what each encoder divides (tiles of 448, patches of 28);
tokens are the cells of the last map.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
from throughput import DEVICE, saved_bytes
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.func import functional_call
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from ocrpretrain.backbones import Adaptive, Backbone, DeepEncoder, DualTower, Tiled
from ocrpretrain.results.curves import draw_panels
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


def count(encoder: Backbone, height: int, width: int) -> dict[str, float]:
    """Size of the image, tokens, FLOPs, and bytes that autograd keeps."""
    mode = FakeTensorMode()
    fake = {n: mode.from_tensor(p) for n, p in encoder.state_dict(keep_vars=True).items()}
    own = {tensor.untyped_storage()._cdata for tensor in fake.values()}
    with mode:
        image = image_for(encoder, height, width)

        def run() -> torch.Tensor:
            return functional_call(encoder, fake, image).maps[-1]

        kept = saved_bytes(lambda: run().square().mean(), own, backward=False)
        # The fused attention of a CPU would not be counted.
        with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            cells = run()
    tokens, (high, wide) = cells.shape[2:].numel(), image.shape[2:]
    flops = counter.get_total_flops()
    return {"tokens": tokens, "flops": flops, "bytes": kept, "height": high, "width": wide}


def measure(
    encoders: dict[str, Backbone], height: int, width: int, rounds: int
) -> dict[str, dict[str, float]]:
    """What `count` says of each encoder, and its seconds where there are rounds."""
    found = {name: count(encoder, height, width) for name, encoder in encoders.items()}
    times: dict[str, list[float]] = {name: [] for name in encoders}
    for _ in range(rounds + 1 if rounds else 0):
        for name, encoder in encoders.items():
            image = image_for(encoder, height, width)
            start = time.perf_counter()
            with torch.no_grad():
                encoder(image)
            if DEVICE.type == "cuda":
                torch.cuda.synchronize()
            times[name].append(time.perf_counter() - start)
    for name, seconds in times.items():
        found[name]["seconds"] = statistics.median(seconds[1:] or [float("nan")])
    return found


def draw(found: dict[tuple[int, int], dict[str, dict[str, float]]], out: Path) -> None:
    """Time, FLOPs and memory against pixels, square pages alone."""
    panels: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for (height, width), encoders in found.items():
        for name, one in encoders.items() if height == width else ():
            point = one["height"] * one["width"] / 1e6
            shown = {
                "seconds, forward": one["seconds"],
                "TFLOP, forward": one["flops"] / 1e12,
                "GiB kept for the backward": one["bytes"] / 2**30,
            }
            for title, value in shown.items() if one["seconds"] > 0 else list(shown.items())[1:]:
                panels.setdefault(title, {}).setdefault(name, []).append((point, value))
    draw_panels(panels, "million pixels", out, {})


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", choices=list(SIZES), default="published")
    parser.add_argument("--sides", type=int, nargs="+", default=[512, 640, 1024, 1280])
    parser.add_argument("--rounds", type=int, default=3, help="0 leaves times out")
    parser.add_argument("--plot", type=Path, help="PNG of time and memory against pixels")
    args = parser.parse_args()
    torch.manual_seed(0)
    encoders = {name: make().to(DEVICE).eval() for name, make in SIZES[args.size].items()}
    print(f"{DEVICE}, {torch.get_num_threads()} threads")
    columns = ("page", "encoder", "parameters, M", "tokens", "GFLOP", "activations, GiB", "s")
    print("| " + " | ".join(columns) + " |", "|---" * len(columns) + "|", sep="\n")
    pages = [(side, side) for side in args.sides] + [(args.sides[-1], args.sides[-1] // 2)]
    found: dict[tuple[int, int], dict[str, dict[str, float]]] = {}
    for height, width in pages:
        found[height, width] = measure(encoders, height, width, args.rounds)
        for name, one in found[height, width].items():
            millions = sum(p.numel() for p in encoders[name].parameters()) / 1e6
            numbers = f"{millions:.1f} | {one['tokens']} | {one['flops'] / 1e9:.1f}"
            numbers += f" | {one['bytes'] / 2**30:.2f}"
            numbers += f" | {one['seconds']:.2f}" if args.rounds else " | not timed"
            page = f"{width} x {height}"
            if (one["height"], one["width"]) != (height, width):
                page += f", as {one['width']} x {one['height']}"
            print(f"| {page} | {name} | {numbers} |", flush=True)
    if args.plot:
        draw(found, args.plot)


if __name__ == "__main__":
    main()
