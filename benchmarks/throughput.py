"""oCLIP's training step against our own plain path: every slot encoded, attention weights kept.

Both run the same modules on the same 9 words of 5 letters per image, forward and backward,
interleaved; medians of 5 rounds, losses compared. Beside each ratio: the bound that FLOPs allow.
Activation memory is what autograd saves for the backward.

  python benchmarks/throughput.py --size rn50 --images 2     # 512 x 512, the published sizes
  python benchmarks/throughput.py --size nano --images 32    # 128 x 128, width 16
  python benchmarks/throughput.py --size nano --compile      # recompilations after warm-up

All on a GPU where there is one (float32, TF32 convolutions); its own limits: accelerator.py.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from lightning.fabric.utilities import move_data_to_device
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from ocrpretrain.backbones import CLIPResNet
from ocrpretrain.heads.oclip import OCLIPHead
from ocrpretrain.heads.oclip_batch import MaskedWord, OCLIPBatch
from ocrpretrain.layers.contrastive import contrastive_loss
from ocrpretrain.layers.packing import Packed

DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
SLOTS, LENGTH, WORDS, LETTERS = 32, 25, 9, 5  # SynthText: about 9 words of 5 letters an image
SIZES: dict[str, dict[str, Any]] = {
    "rn50": {"side": 512, "backbone": {}, "head": {}},
    "nano": {
        "side": 128,
        "backbone": {"layers": (1, 1, 1, 1), "width": 16},
        "head": {"embed_dim": 128, "grid": (4, 4), "text_heads": 4, "text_layers": 2}
        | {"decoder_layers": 2},
    },
}
Step = Callable[[], Tensor]


def plain_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
) -> Tensor:
    """The textbook form, whose weights are kept for the backward."""
    assert not dropout_p and not is_causal
    score = query @ key.transpose(-2, -1) * query.shape[-1] ** -0.5
    if attn_mask is not None:
        hidden = attn_mask.logical_not() if attn_mask.dtype == torch.bool else None
        score = score + attn_mask if hidden is None else score.masked_fill(hidden, -torch.inf)
    return score.softmax(-1) @ value


@contextmanager
def plainly() -> Iterator[None]:
    """Inside, every fused attention of torch is the plain one."""
    fused = F.scaled_dot_product_attention
    F.scaled_dot_product_attention = plain_attention
    try:
        yield
    finally:
        F.scaled_dot_product_attention = fused


def make_batch(head: OCLIPHead, images: int, side: int, words: int, letters: int) -> OCLIPBatch:
    """Noise with `words` random words of `letters` letters per image."""
    rng = np.random.default_rng(0)
    text = [["".join(rng.choice(list("abcdefgh"), letters)) for _ in range(words)]
            for _ in range(images)]  # fmt: skip
    rows = [MaskedWord(i, s, word, [0]) for i, w in enumerate(text) for s, word in enumerate(w)]
    packed = head.collator().pack(rows, images)
    image = torch.from_numpy(rng.integers(0, 255, (images, 3, side, side), dtype=np.uint8))
    batch = OCLIPBatch(image=image, text=text, left_out={}, **packed)
    return move_data_to_device(batch, DEVICE)


def slots_of(batch: OCLIPBatch) -> tuple[Tensor, Packed, Tensor]:
    """All 32 slots of 25 ids per image, and which rows are real words."""
    images = batch["packed"].images
    ids = torch.zeros(images, SLOTS, LENGTH, dtype=torch.long, device=DEVICE)
    real = torch.zeros(images, SLOTS, dtype=torch.bool, device=DEVICE)
    where = (batch["packed"].image, batch["packed"].slot)
    ids[..., : batch["masked"].shape[1]][where] = batch["masked"]
    real[where] = True
    index = torch.arange(images * SLOTS, device=DEVICE)
    packed = Packed(index // SLOTS, index % SLOTS, images, SLOTS)
    return ids.flatten(0, 1), packed, real.flatten()


def steps(backbone: CLIPResNet, head: OCLIPHead, batch: OCLIPBatch) -> dict[str, Step]:
    """The two forms of one training step's loss."""
    ids, slots, real = slots_of(batch)

    def fast() -> Tensor:
        losses = head(head.encode(backbone, batch), batch).losses
        return torch.stack(list(losses.values())).sum()

    def plain() -> Tensor:
        with plainly():
            image = head.image_tokens(head.encode(backbone, batch))
            word_ND, _ = head.encode_words(ids)
            logits_NV = head.read(word_ND, image, slots)
        character = F.cross_entropy(logits_NV[real], batch["target"])
        total_BD = slots.sum(word_ND * real[:, None])
        text_BD = F.normalize(total_BD / slots.sum(real.float()[:, None]), dim=-1)
        assert head.logit_scale is not None
        return character + contrastive_loss(image.pooled, text_BD, head.logit_scale.exp())

    return {"packed": fast, "plain": plain}


def text_steps(head: OCLIPHead, batch: OCLIPBatch) -> dict[str, Step]:
    """The text encoder alone."""
    ids, _, real = slots_of(batch)

    def plain() -> Tensor:
        with plainly():
            return head.encode_words(ids)[0][real].sum()

    return {"packed": lambda: head.encode_words(batch["masked"])[0].sum(), "plain": plain}


def compare(name: str, forms: dict[str, Step], parameters: list[nn.Parameter], rounds: int) -> None:
    """Print the ratio of the median times, its bound, and the ratio of saved activations."""
    times: dict[str, list[float]] = {form: [] for form in forms}
    values: dict[str, float] = {}
    flops, saved = {}, {}
    own = {parameter.untyped_storage()._cdata for parameter in parameters}
    for form, step in forms.items():
        with FlopCounterMode(display=False) as counter:
            saved[form] = saved_bytes(step, own)
        flops[form] = counter.get_total_flops()
    for _ in range(rounds + 1):
        for form, step in forms.items():
            start = time.perf_counter()
            loss = step()
            loss.backward()
            if DEVICE.type == "cuda":
                torch.cuda.synchronize()
            times[form].append(time.perf_counter() - start)
            values[form] = loss.item()
    assert abs(values["packed"] - values["plain"]) < 1e-3 * abs(values["plain"]), values
    median = {form: statistics.median(seconds[1:]) for form, seconds in times.items()}
    print(
        f"{name}: plain {median['plain']:.3f} s, packed {median['packed']:.3f} s: "
        f"{median['plain'] / median['packed']:.2f} x (FLOPs allow "
        f"{flops['plain'] / flops['packed']:.2f} x); activations "
        f"{saved['packed'] / saved['plain']:.2f} x"
    )


def saved_bytes(step: Step, own: set[int], backward: bool = True) -> int:
    """Bytes that autograd keeps for the backward of one step, parameters left out."""
    seen: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in own:  # an address that tensors without values have, too
            seen[storage._cdata] = storage.nbytes()
        return tensor.detach()

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = step()
    if backward:  # for its FLOPs
        loss.backward()
    return sum(seen.values())


def count_recompilations(backbone: CLIPResNet, head: OCLIPHead, images: int, side: int) -> None:
    """Batches of 3 to 12 words of 2 to 9 letters through a compiled step."""
    import torch._dynamo as dynamo

    backend = "inductor" if DEVICE.type == "cuda" else "aot_eager"
    backbone.compile(backend=backend)
    head.compile(backend=backend, dynamic=True)
    graphs = []
    for words, letters in [(3, 4), (9, 6), (5, 3), (12, 9), (4, 2), (7, 7), (10, 5)]:
        batch = make_batch(head, images, side, words, letters)
        losses = head(backbone(backbone.normalize(batch["image"])), batch).losses
        torch.stack(list(losses.values())).sum().backward()
        graphs.append(dynamo.utils.counters["stats"]["unique_graphs"])
    print(f"compiled graphs after each of {len(graphs)} batches ({backend}): {graphs}")


def build(name: str) -> tuple[CLIPResNet, OCLIPHead, int]:
    """Backbone, head and side of a size."""
    size = SIZES[name]
    backbone = CLIPResNet(**size["backbone"])
    head = OCLIPHead(backbone.out_channels, backbone.strides, **size["head"])
    return backbone.to(DEVICE, memory_format=torch.channels_last), head.to(DEVICE), size["side"]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", choices=list(SIZES), default="nano")
    parser.add_argument("--images", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--compile", action="store_true")
    args = parser.parse_args()
    torch.manual_seed(0)
    backbone, head, side = build(args.size)
    where = torch.cuda.get_device_name() if DEVICE.type == "cuda" else "CPU"
    print(f"{args.size}, {args.images} images, {where}, {torch.get_num_threads()} threads")
    if args.compile:
        count_recompilations(backbone, head, args.images, side)
        return
    batch = make_batch(head, args.images, side, WORDS, LETTERS)
    parameters = [*backbone.parameters(), *head.parameters()]
    compare("text encoder", text_steps(head, batch), parameters, args.rounds)
    compare("whole step", steps(backbone, head, batch), parameters, args.rounds)


if __name__ == "__main__":
    main()
