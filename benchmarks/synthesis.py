"""How fast the generator draws on one core, and how much of that time is spent inside libraries.

python benchmarks/synthesis.py [--rounds 5]

Rates are images per second of process time, median of the rounds, taken in turns. 'library' is the
share of the time that a profile finds in OpenCV, FreeType, HarfBuzz and NumPy calls: the rate over
that share is the bound that remains however lean our own code gets. The pool of textures (two
seconds, once per process) is drawn before.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import time
from statistics import median

import cv2

from ocrpretrain.data import SyntheticPages, SyntheticScenes, SyntheticWords
from ocrpretrain.data.sources import Source
from ocrpretrain.data.synthesis.textures import POOL, pool_field

COUNTS = {"scenes 512x512": 25, "words": 400, "pages 1024x1024": 10}
AIMS = {"scenes 512x512": 25, "words": 400, "pages 1024x1024": 8}


def rate(source: Source, start: int, count: int) -> float:
    begin = time.process_time()
    for index in range(start, start + count):
        source[index]
    return count / (time.process_time() - begin)


def library_share(source: Source, count: int) -> tuple[float, list[tuple[str, float]]]:
    """Share of the time in compiled calls, and the largest of them."""
    profile = cProfile.Profile()
    profile.enable()
    for index in range(count):
        source[index]
    profile.disable()
    entries = pstats.Stats(profile).stats.items()  # pyright: ignore[reportAttributeAccessIssue]
    total = sum(own for _, (_, _, own, _, _) in entries)
    compiled = [(name, own) for (file, _, name), (_, _, own, _, _) in entries if file == "~"]
    glyphs = [(name, own) for (file, _, name), (_, _, own, _, _) in entries if "freetype" in file]
    parts = sorted(compiled + glyphs, key=lambda part: -part[1])
    largest = [(name.strip("{}<>"), own / total) for name, own in parts[:6]]
    return sum(own for _, own in parts) / total, largest


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    cv2.setNumThreads(0)
    for place in range(POOL):
        pool_field(place)
    sources = {
        "scenes 512x512": SyntheticScenes(10**6),
        "words": SyntheticWords(10**6),
        "pages 1024x1024": SyntheticPages(10**6),
    }
    rates: dict[str, list[float]] = {name: [] for name in sources}
    for turn in range(args.rounds):
        for name, source in sources.items():
            rates[name].append(rate(source, turn * COUNTS[name], COUNTS[name]))
    for name, source in sources.items():
        share, largest = library_share(source, COUNTS[name])
        words = sum(len(source[index].words) for index in range(10)) / 10
        parts = ", ".join(f"{part} {100 * own:.0f} %" for part, own in largest)
        found = median(rates[name])
        print(
            f"{name}: {found:.0f}/s (aim {AIMS[name]}, bound {found / share:.0f}), "
            f"{words:.1f} words each; library {100 * share:.0f} %: {parts}"
        )


if __name__ == "__main__":
    main()
