"""oCLIP's training step on a GPU: images/s, share of its matrix rate, memory, per batch size.

python benchmarks/accelerator.py --batches 64 128 256 512 [--compile]

RN50 at 512 x 512 with 9 words of 5 letters an image, bf16 autocast, channels last, AdamW; one
whole step (forward, backward, update) on images that are on the device already. The rate that it is
compared with is a bf16 product of 8192 x 8192 matrices in the same process. A batch that does not
fit says so.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable

import torch
from throughput import LETTERS, SIZES, WORDS, build, make_batch
from torch.utils.flop_counter import FlopCounterMode

WARM_UP, ROUNDS = 4, 10


def seconds(step: Callable[[], object]) -> float:
    """Median time of a call, by device events, after a warm-up."""
    for _ in range(WARM_UP):
        step()
    times = []
    for _ in range(ROUNDS):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        step()
        end.record()
        torch.cuda.synchronize()
        times.append(start.elapsed_time(end) / 1000)
    return statistics.median(times)


def matrix_rate() -> float:
    """FLOP/s of a large bf16 product of random matrices."""
    a, b = (torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    return 2 * 8192**3 / seconds(lambda: a @ b)


def measure(size: str, images: int, rate: float, compiled: bool) -> str:
    """One line of the table."""
    backbone, head, side = build(size)
    parameters = [*backbone.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=1e-4, fused=True)
    batch = make_batch(head, images, side, WORDS, LETTERS)
    if compiled:
        backbone.compile()
        head.compile(dynamic=True)

    def step() -> None:
        with torch.autocast("cuda", torch.bfloat16):
            losses = head(head.encode(backbone, batch), batch).losses
        torch.stack(list(losses.values())).sum().backward()
        optimizer.step()
        optimizer.zero_grad()

    torch.cuda.reset_peak_memory_stats()
    time = seconds(step)
    memory = torch.cuda.max_memory_allocated() / 2**30
    # Counted on modules that are not compiled, and on few images, which fit beside the others.
    backbone, head, _ = build(size)
    few = make_batch(head, 8, side, WORDS, LETTERS)
    with FlopCounterMode(display=False) as counter:
        losses = head(head.encode(backbone, few), few).losses
        torch.stack(list(losses.values())).sum().backward()
    flop = counter.get_total_flops() / 8  # per image
    return (
        f"| {images} | {'yes' if compiled else 'no'} | {images / time:.0f} | {1000 * time:.0f} | "
        f"{flop * images / time / 1e12:.0f} ({100 * flop * images / time / rate:.0f} %) | "
        f"{memory:.1f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", choices=list(SIZES), default="rn50")
    parser.add_argument("--batches", type=int, nargs="+", default=[64, 128, 256, 512])
    parser.add_argument("--compile", action="store_true", help="each batch also compiled")
    args = parser.parse_args()
    if not torch.cuda.is_available():
        parser.error("needs a CUDA device; on a CPU run benchmarks/throughput.py")
    torch.manual_seed(0)
    rate = matrix_rate()
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, {rate / 1e12:.0f} TFLOP/s")
    print("| images | compiled | images/s | ms | TFLOP/s | GiB |", "|---" * 6 + "|", sep="\n")
    for images in args.batches:
        for compiled in (False, True) if args.compile else (False,):
            try:
                print(measure(args.size, images, rate, compiled), flush=True)
            except torch.OutOfMemoryError:
                print(f"| {images} | {'yes' if compiled else 'no'} | out of memory | | | |")
            torch.cuda.empty_cache()


if __name__ == "__main__":
    main()
