"""CLIP4STR's training step and reading against a plain path: no caches, one call per order.

Both forms are in `reading_forms.py`. Interleaved, medians of 5 rounds, answers compared. Beside
each ratio: the bound that FLOPs allow. Activation memory is what autograd saves for the backward.

  python benchmarks/reading.py --images 8                 # B/16 as published
  python benchmarks/reading.py --size nano --images 64
  python benchmarks/reading.py --tokens                   # microseconds per word of the tokenizer
  python benchmarks/reading.py --rates 1 64               # ms and words/s of reading, images/s

Strings of an untrained reader are noise: the text encoder is given each word's label instead, as
from a trained one, in training with one wrong character in all but --agree of the orders; how many
were distinct is printed. All on a GPU where there is one.
"""

from __future__ import annotations

import argparse
import statistics
import time

import numpy as np
import torch
import torch.nn.functional as F
from reading_forms import SIZES, Form, Model, reading, training
from throughput import DEVICE, saved_bytes
from torch.utils.flop_counter import FlopCounterMode

from ocrpretrain.data.tokenizer import clip_ids
from ocrpretrain.heads import CLIP4STRHead
from ocrpretrain.layers.pieces import EAGER, CUDAGraphs, Runner, once
from ocrpretrain.layers.word_decoder import WordDecoder


def compare(name: str, model: Model, forms: dict[str, Form], rounds: int, train: bool) -> None:
    """Print the ratio of the median times, its bound, and of training that of activations."""
    times: dict[str, list[float]] = {form: [] for form in forms}
    own = {parameter.untyped_storage()._cdata for parameter in model.parameters}
    flops, saved, values = {}, {}, {}
    for parameter in model.parameters:  # the counter's hooks stumble over them without gradients
        parameter.requires_grad_(train)
    with torch.set_grad_enabled(train):
        for form, run in forms.items():
            with FlopCounterMode(display=False) as counter:
                saved[form] = saved_bytes(run, own) if train else run()
            flops[form] = counter.get_total_flops()
        for _ in range(rounds + 1):
            for form, run in forms.items():
                start = time.perf_counter()
                values[form] = run()
                if train:
                    values[form].backward()
                if DEVICE.type == "cuda":
                    torch.cuda.synchronize()
                times[form].append(time.perf_counter() - start)
    median = {form: statistics.median(seconds[1:]) for form, seconds in times.items()}
    if train:
        more = f"activations {saved['fast'] / saved['plain']:.2f} x"
        assert torch.allclose(values["fast"], values["plain"], rtol=1e-3), values
    else:
        same = (values["fast"].argmax(-1) == values["plain"].argmax(-1)).all(1).sum()
        more = f"{same} of {len(values['fast'])} answers equal"
    print(
        f"{name}: plain {median['plain']:.3f} s, fast {median['fast']:.3f} s: "
        f"{median['plain'] / median['fast']:.2f} x (FLOPs allow "
        f"{flops['plain'] / flops['fast']:.2f} x); {more}",
        flush=True,
    )


def print_rates(size: str, images: int, rounds: int, half: bool) -> None:
    """Reading from images to strings, and a training step without its optimizer, at one batch."""
    model = Model(size, images, 0.9)
    train = training(model, True)["fast"]

    def step() -> None:
        with torch.autocast(DEVICE.type, torch.bfloat16, half):
            loss = train()
        loss.backward()

    train_seconds = seconds_each({"train": step}, rounds)["train"] / images
    plain = reading(model, True)["plain"]
    vars(model.head.text).pop("words", None)
    kind = torch.bfloat16 if half else torch.float32
    head, backbone = model.head.eval().to(kind), model.backbone.eval().to(kind)
    model.image = model.image.to(kind)
    assert head.cross_decoder is not None
    for decoder in (head.visual_decoder, head.cross_decoder):
        end_words(decoder, 6)
    host = model.batch["image"].cpu()

    def read(run: Runner) -> list[str]:
        head.runner = run
        image = run.hold("image", host.to(DEVICE, non_blocking=True))
        features = run("encode", once(lambda: head.encode(backbone, {"image": image})))
        return head.predict(features, None).texts

    forms: dict[str, Form] = {
        "plain": lambda: plain().argmax(-1).tolist(),
        "eager": lambda: read(EAGER),
    }
    with torch.no_grad():
        texts = read(EAGER)
        if DEVICE.type == "cuda":
            graphs = CUDAGraphs()
            forms["graphs"] = lambda: read(graphs)
            same = sum(a == b for a, b in zip(read(graphs), texts, strict=True))
            print(f"graphs: {same} of {images} answers equal the eager ones")
        taken = seconds_each(forms, rounds)
    best = min(taken, key=taken.__getitem__)
    print(
        f"batch {images}, {kind}, words of {len(texts[0])} letters: "
        + ", ".join(f"{name} {1000 * each:.2f} ms" for name, each in taken.items())
        + f"; {images / taken[best]:.1f} words/s, {taken['plain'] / taken[best]:.2f} x plain; "
        f"training {1 / train_seconds:.1f} images/s",
        flush=True,
    )


def end_words(decoder: WordDecoder, letters: int) -> None:
    """Make an untrained decoder answer EOS from a step on, and not before."""
    with torch.no_grad():
        vector = F.normalize(decoder.positions[0], dim=0)
        decoder.positions[letters:] = 100 * vector
        decoder.head.weight[decoder.eos_id] = 10 * vector
        decoder.head.bias[decoder.eos_id] = -100
        decoder.positions[0] -= vector * (vector @ decoder.positions[0])


def seconds_each(forms: dict[str, Form], rounds: int) -> dict[str, float]:
    """Median times, interleaved."""
    times: dict[str, list[float]] = {name: [] for name in forms}
    for _ in range(rounds + 2):
        for name, run in forms.items():
            start = time.perf_counter()
            run()
            if DEVICE.type == "cuda":
                torch.cuda.synchronize()
            times[name].append(time.perf_counter() - start)
    return {name: statistics.median(taken[2:]) for name, taken in times.items()}


def time_tokens(words: int = 50_000) -> None:
    """Microseconds per word, from ids to CLIP's byte pairs, when all were seen before."""
    head = CLIP4STRHead([8], [8], **SIZES["nano"][1])
    assert head.text is not None
    rng = np.random.default_rng(0)
    lengths = rng.integers(3, 11, words)
    ids = torch.from_numpy(rng.integers(65, 91, (words, 26)))
    ids[torch.arange(26) >= torch.from_numpy(lengths)[:, None]] = 0
    seconds = []
    for _ in range(6):
        start = time.perf_counter()
        for part in ids.split(384):
            for word in head.text.words(part):
                clip_ids(word)
        seconds.append(time.perf_counter() - start)
    first, *warm = (1e6 * each / words for each in seconds)
    print(f"tokenizer: {statistics.median(warm):.2f} us a word once warm, {first:.0f} us before")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", choices=list(SIZES), default="b16")
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--agree", type=float, default=0.9)
    parser.add_argument("--tokens", action="store_true")
    parser.add_argument("--half", action="store_true", help="rates in bfloat16")
    parser.add_argument("--rates", type=int, nargs="+", metavar="IMAGES")
    args = parser.parse_args()
    if args.tokens:
        time_tokens()
        return
    torch.manual_seed(0)
    if args.rates:
        for images in args.rates:
            print_rates(args.size, images, args.rounds, args.half)
        return
    model = Model(args.size, args.images, args.agree)
    where = torch.cuda.get_device_name() if DEVICE.type == "cuda" else "CPU"
    print(f"{args.size}, {args.images} images, {where}, {torch.get_num_threads()} threads")
    rows = {tuple(row) for row in model.strings_BKS.flatten(0, 1).tolist()}
    print(f"{len(rows)} distinct strings of {model.strings_BKS[..., 0].numel()}")
    for whole in (False, True):
        part = "whole model" if whole else "decoders and text"
        compare(f"training, {part}", model, training(model, whole), args.rounds, True)
        model.head.eval(), model.backbone.eval()
        compare(f"reading, {part}", model, reading(model, whole), args.rounds, False)
        model.head.train(), model.backbone.train()


if __name__ == "__main__":
    main()
