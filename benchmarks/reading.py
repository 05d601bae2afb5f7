"""CLIP4STR's training step and reading against a plain path: no caches, one call per order.

The plain path runs the same modules as the official code does: each order is decoded by itself,
the memory is projected anew for every call and step, every string goes through the text encoder,
and attention weights are kept. Interleaved, medians of 5 rounds, answers compared. Beside each
ratio: the bound that FLOPs allow. Activation memory is what autograd saves for the backward.

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
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from lightning.fabric.utilities import move_data_to_device
from throughput import DEVICE, plainly, saved_bytes
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from ocrpretrain.backbones import ClipViT
from ocrpretrain.data.tokenizer import clip_ids
from ocrpretrain.data.views import Sample
from ocrpretrain.heads import CLIP4STRHead
from ocrpretrain.heads.orders_batch import OrdersBatch
from ocrpretrain.layers.clip_text import Text
from ocrpretrain.layers.pieces import EAGER, CUDAGraphs, Runner, once
from ocrpretrain.layers.word_decoder import Look, Seen, WordDecoder

SIZES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "b16": ({"name": "ViT-B-16-quickgelu"}, {"text": "ViT-B-16-quickgelu"}),
    "nano": (
        {"size": (32, 128), "patch": (8, 8), "width": 96, "layers": 2, "heads": 3},
        {"width": 192, "heads": 6, "text": {"width": 64, "heads": 2, "layers": 2}},
    ),
}
Form = Callable[[], Any]


class Model:
    """Backbone, head, a batch, and the strings that the text encoder is given."""

    def __init__(self, size: str, images: int, agree: float) -> None:
        backbone, head = SIZES[size]
        self.backbone = ClipViT(**backbone).to(DEVICE)
        made = CLIP4STRHead(self.backbone.out_channels, self.backbone.strides, dropout=0.0, **head)
        self.head = made.to(DEVICE)
        rng = np.random.default_rng(0)
        height, width = self.backbone.size
        letters = list("etaoinshrdlucmfw")
        words = ["".join(rng.choice(letters, rng.integers(3, 11))) for _ in range(images)]
        samples = [
            Sample(rng.integers(0, 255, (height, width, 3), np.uint8), None, [word], [None], "", i)
            for i, word in enumerate(words)
        ]
        self.batch: OrdersBatch = move_data_to_device(made.collator()(samples), DEVICE)
        orders, steps = made.orders, self.batch["input"].shape[1]
        label = self.batch["target"][:1].transpose(0, 1).cpu().expand(-1, orders, -1)
        second = torch.arange(steps) == 1  # the character that some orders misread
        misread = torch.where(second, torch.randint(65, 91, (images, orders, 1)), label)
        agreed = torch.rand(images, orders, 1) < agree
        self.strings_BKS = torch.where(agreed, label, misread).clamp(max=94).to(DEVICE)
        self.parameters = [*self.backbone.parameters(), *made.parameters()]
        with torch.no_grad():
            image = self.backbone.normalize(self.batch["image"])
            self.features = self.backbone(image)
        self.image = image

    def encode_each(self, ids_NS: Tensor) -> Text:
        """The text of N strings, none left out."""
        text = self.head.text
        assert text is not None
        rows = [[49406, *clip_ids(word)[: text.context - 2], 49407] for word in text.words(ids_NS)]
        padded = [row + [0] * (text.context - len(row)) for row in rows]
        ids_NT = torch.tensor(padded, device=ids_NS.device)
        ended_NT = ids_NT == 49407
        padding_NT = (ended_NT.cumsum(1) - ended_NT.long()) > 0
        place_N = torch.arange(len(rows), device=ids_NS.device)
        return Text(text.encode(ids_NT), padding_NT, place_N, torch.zeros_like(place_N))


def training(model: Model, whole: bool) -> dict[str, Form]:
    """The two forms of a training step's loss, with or without the image encoder."""
    head, batch = model.head, model.batch
    vars(head.text).pop("words", None)  # of `reading`
    visual, cross, text = head.visual_decoder, head.cross_decoder, head.text
    assert cross is not None and text is not None

    def memory() -> Tensor:
        features = model.backbone(model.image) if whole else model.features
        return head.memory(features)[0]

    def fast() -> Tensor:
        memory_BLD, ids_BS, look = memory(), batch["input"], batch["look"]
        logits = visual(ids_BS, visual.remember(memory_BLD), look)
        seen = cross.remember(memory_BLD.detach())
        words = text(model.strings_BKS.flatten(0, 1))
        both, keep = head.add_text(seen, None, words)
        target = batch["target"].transpose(0, 1)
        return head.loss(logits, target) + head.loss(cross(ids_BS, both, look, keep), target)

    def plain() -> Tensor:
        memory_BLD, ids_BS, look = memory(), batch["input"], batch["look"]
        seen_orders, read_orders = [], []
        with plainly():
            for k in range(head.orders):
                one = Look(look.query[k : k + 1], look.content[k : k + 1], look.padding)
                seen_orders.append(visual(ids_BS, visual.remember(memory_BLD), one))
                words = model.encode_each(model.strings_BKS[:, k])
                seen = cross.remember(memory_BLD.detach())
                both, keep = head.add_text(seen, None, words)
                read_orders.append(cross(ids_BS, both, one, keep))
        target = batch["target"].transpose(0, 1)
        losses = (head.loss(torch.cat(x, 1), target) for x in (seen_orders, read_orders))
        return torch.stack(list(losses)).sum()

    return {"fast": fast, "plain": plain}


def reading(model: Model, whole: bool) -> dict[str, Form]:
    """The two forms of reading a batch: all steps, both branches, one refinement."""
    head, text = model.head, model.head.text
    visual, cross = head.visual_decoder, head.cross_decoder
    assert cross is not None and text is not None
    labels = ["".join(words) for words in model.batch["text"]]
    text.words = lambda ids_NS: labels * (len(ids_NS) // len(labels))

    def fast() -> Tensor:
        text._memory.clear()  # what an earlier round remembers
        branches = head.branches(model.backbone(model.image) if whole else model.features)
        assert branches.cross is not None
        return branches.cross

    def plain() -> Tensor:
        features = model.backbone(model.image) if whole else model.features
        with plainly():
            memory_BLD = head.memory(features)[0]

            def both(ids_BS: Tensor) -> tuple[Tensor, Tensor]:
                words = model.encode_each(ids_BS)
                image = torch.ones(memory_BLD.shape[:2], dtype=torch.bool, device=DEVICE)
                tokens = torch.cat([memory_BLD, words.tokens], 1)
                return tokens, torch.cat([image, ~words.padding], 1)

            first = read_plainly(visual, memory_BLD)
            read = read_plainly(cross, *both(first.argmax(-1)))
            second = visual.refine(visual.remember(memory_BLD), first.argmax(-1))
            tokens, keep = both(second.argmax(-1))
            return cross.refine(cross.remember(tokens), read.argmax(-1), keep)

    return {"fast": fast, "plain": plain}


def read_plainly(decoder: WordDecoder, memory_BLD: Tensor, keep: Tensor | None = None) -> Tensor:
    """(B, S, V): at every step the whole memory and all that was read are projected again."""
    (layer,) = decoder._layers()
    logits: list[Tensor] = []
    ids = torch.full((len(memory_BLD), 1), decoder.bos_id, device=DEVICE)
    seen = None if keep is None else keep[:, None, None]
    for step in range(len(decoder.positions)):
        (kv,) = decoder.remember(memory_BLD)
        x = decoder.positions[step].expand(1, 1, -1)
        own = Seen(layer.read_input(decoder.embed(ids)))
        x = layer(x, layer.self_attn.queries(layer.norm_q(x)), own, Seen(kv, seen))
        logits.append(decoder.head(decoder.norm(x))[:, 0])
        ids = torch.cat([ids, logits[-1].argmax(-1, keepdim=True)], 1)
        if (ids == decoder.eos_id).any(1).all():
            break
    read = torch.stack(logits, 1)
    return F.pad(read, (0, 0, 0, len(decoder.positions) - read.shape[1]))  # 0 is EOS


def compare(name: str, model: Model, forms: dict[str, Form], rounds: int, train: bool) -> None:
    """Print the ratio of the median times, its bound, and of training that of activations."""
    times: dict[str, list[float]] = {form: [] for form in forms}
    own = {parameter.untyped_storage().data_ptr() for parameter in model.parameters}
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
