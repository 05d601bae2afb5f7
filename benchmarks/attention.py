"""Attention with its backward on a CPU in bfloat16: fused, plain, and fused in float32.

python benchmarks/attention.py: the best of 8 interleaved rounds on one thread, in milliseconds. Why
`layers/attention.py` takes the plain form there.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

ROUNDS = 8
# Batch, heads, queries, keys, channels of a head, and whether there is a mask.
SHAPES = {
    "small decoder, memory": (64, 6, 96, 64, 32, False),
    "small decoder, itself": (64, 6, 96, 16, 32, True),
    "small cross branch, memory": (64, 6, 96, 100, 32, True),
    "ViT-B/16": (8, 12, 197, 197, 64, False),
}


def forms(shape: tuple[int, int, int, int, int, bool]) -> dict[str, Callable[[], Tensor]]:
    """The three ways, on the same random tensors."""
    batch, heads, queries, length, channels, masked = shape
    q, k, v = (
        torch.randn(batch, heads, size, channels, dtype=torch.bfloat16, requires_grad=True)
        for size in (queries, length, length)
    )
    keep = torch.rand(batch, 1, queries, length) < 0.7 if masked else None
    if keep is not None:
        keep[..., 0] = True

    def plain() -> Tensor:
        score = q @ k.mT * channels**-0.5
        score = score if keep is None else score.masked_fill(~keep, -torch.inf)
        return score.softmax(-1) @ v

    def fused(dtype: torch.dtype) -> Tensor:
        return F.scaled_dot_product_attention(q.to(dtype), k.to(dtype), v.to(dtype), attn_mask=keep)

    return {
        "fused": lambda: fused(torch.bfloat16),
        "plain": plain,
        "fused, float32": lambda: fused(torch.float32),
    }


def main() -> None:
    torch.set_num_threads(1)
    for name, shape in SHAPES.items():
        ways = forms(shape)
        times: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(ROUNDS):
            for way, run in ways.items():
                start = time.perf_counter()
                run().sum().backward()
                times[way].append(1000 * (time.perf_counter() - start))
        print(f"{name}: " + ", ".join(f"{way} {min(t):.0f} ms" for way, t in times.items()))


if __name__ == "__main__":
    main()
