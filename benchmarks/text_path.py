"""Packed words against padded slots: oCLIP's text encoder and decoder at their published sizes.

Baseline: the official layout, every image with 32 slots of 25 characters, run by the same modules.
Both are timed forward and backward, interleaved; the bound is the ratio of character positions.
Command: python benchmarks/text_path.py [--images 16] [--rounds 5]
"""

from __future__ import annotations

import argparse
import statistics
import time

import torch
from torch import Tensor

from ocrpretrain.heads.oclip import ImageTokens, OCLIPHead
from ocrpretrain.heads.oclip_batch import MaskedWord
from ocrpretrain.layers.packing import Packed

SLOTS, LENGTH, WORDS, LETTERS = 32, 25, 9, 5  # SynthText: about 9 words of 5 letters an image


def padded(images: int, tokens: Tensor) -> tuple[Tensor, Packed]:
    """The same words, each image filled up with rows of zeros."""
    ids = torch.zeros(images, SLOTS, LENGTH, dtype=torch.long)
    ids[:, :WORDS, : tokens.shape[1]] = tokens.view(images, WORDS, -1)
    index = torch.arange(images * SLOTS)
    return ids.flatten(0, 1), Packed(index // SLOTS, index % SLOTS, images, SLOTS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    torch.manual_seed(0)
    head = OCLIPHead((2048,), (32,))
    slots = [(image, slot) for image in range(args.images) for slot in range(WORDS)]
    words = head.collator().pack(
        [MaskedWord(*place, "x" * LETTERS, [0]) for place in slots], args.images
    )
    image = ImageTokens(torch.empty(0), torch.randn(args.images, 256, 384), head.image_pos, None)
    layouts = {
        "packed": (words["masked"], words["packed"]),
        "padded": padded(args.images, words["masked"]),
    }
    times: dict[str, list[float]] = {name: [] for name in layouts}
    logits: dict[str, Tensor] = {}
    for _ in range(args.rounds + 1):
        for name, (tokens, packed) in layouts.items():
            start = time.perf_counter()
            out = head.read(head.encode_words(tokens)[0], image, packed)
            out.sum().backward()
            times[name].append(time.perf_counter() - start)
            logits[name] = packed.pad(out.detach())[:, :WORDS]
    assert torch.allclose(logits["packed"], logits["padded"], atol=1e-4)
    median = {name: statistics.median(values[1:]) for name, values in times.items()}
    bound = SLOTS * LENGTH / (WORDS * (LETTERS + 1))
    ratio = median["padded"] / median["packed"]
    print(f"padded {median['padded']:.3f} s, packed {median['packed']:.3f} s: {ratio:.1f} x")
    print(f"bound from character positions: {bound:.1f} x (threads: {torch.get_num_threads()})")


if __name__ == "__main__":
    main()
