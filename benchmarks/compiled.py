"""CLIP4STR's training step compiled by inductor against the eager one: graphs, loss, seconds.

python benchmarks/compiled.py                  # a nano model, 64 words
python benchmarks/compiled.py --size b16 --images 8
"""

from __future__ import annotations

import argparse
import time

import torch
from reading import seconds_each
from reading_forms import SIZES, Model, training
from torch._dynamo.utils import counters


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", choices=list(SIZES), default="nano")
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    torch.manual_seed(0)
    eager = training(Model(args.size, args.images, 0.9), whole=True)["fast"]
    compiled = torch.compile(eager, dynamic=False)
    start = time.perf_counter()
    compiled().backward()
    first = time.perf_counter() - start
    apart = (compiled() / eager() - 1).abs().item()
    forms = {"eager": lambda: eager().backward(), "compiled": lambda: compiled().backward()}
    seconds = seconds_each(forms, args.rounds)
    graphs = counters["stats"]["unique_graphs"]
    print(
        f"{args.size}, {args.images} words, {torch.get_num_threads()} threads: {graphs} graphs, "
        f"first step {first:.0f} s; eager {seconds['eager']:.3f} s, compiled "
        f"{seconds['compiled']:.3f} s, {seconds['eager'] / seconds['compiled']:.2f} x; "
        f"losses {apart:.1e} apart"
    )


if __name__ == "__main__":
    main()
