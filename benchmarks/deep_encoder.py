"""DeepEncoder against its official form: whole bias, padded windows, one image at a time.

Both run the same weights on the same images, interleaved; medians of 5 rounds, outputs compared.
Beside each ratio: the bound that FLOPs allow. Memory is what autograd keeps for the backward of a
training step in float32, parameters left out.

  python benchmarks/deep_encoder.py                         # published size, 512 and 640, batch 4
  python benchmarks/deep_encoder.py --sides 1024 --batch 8  # on a GPU, with --bf16
  python benchmarks/deep_encoder.py --train --sides 640 --batch 1
  python benchmarks/deep_encoder.py --bf16 --compile --sides 1024  # ours, blocks compiled

With --bf16 a forward pass has weights in bfloat16, a training step autocasts to it.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from throughput import DEVICE, saved_bytes
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from ocrpretrain.backbones import DeepEncoder
from ocrpretrain.layers import sam_vit
from ocrpretrain.layers.relative_attention import relative_terms, resize_table
from ocrpretrain.layers.sam_vit import SAMAttention


def official_attention(self: SAMAttention, x_BhwC: Tensor) -> Tensor:
    """Pad, cut windows, project all cells of them, and attend with the bias of all pairs."""
    batch, height, width, channels = x_BhwC.shape
    side = self.window or 1
    padded = F.pad(x_BhwC, (0, 0, 0, -width % side, 0, -height % side))
    rows, columns = (side, side) if self.window else (height, width)
    tiles = padded.unflatten(2, (-1, columns)).unflatten(1, (-1, rows)).transpose(2, 3)
    grid = tiles.shape[:3]
    x_NLC = tiles.flatten(0, 2).flatten(1, 2).contiguous()
    q, k, v = self.qkv(x_NLC).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
    tables = (resize_table(self.rel_pos_h, rows), resize_table(self.rel_pos_w, columns))
    rel_h, rel_w = relative_terms(q, tables)
    bias = (rel_h[..., :, None] + rel_w[..., None, :]).flatten(3)
    out = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
    out = self.proj(out.transpose(1, 2).flatten(2)).contiguous()
    out = out.unflatten(1, (rows, columns)).unflatten(0, grid).transpose(2, 3)
    return out.reshape(batch, grid[1] * rows, grid[2] * columns, channels)[:, :height, :width]


@contextmanager
def official() -> Iterator[None]:
    """Inside, SAM's attention is the official one, and GELU's input and output are kept."""
    ours = SAMAttention.forward, sam_vit.gelu_linear
    SAMAttention.forward = official_attention
    sam_vit.gelu_linear = lambda x, linear: linear(F.gelu(x))
    try:
        yield
    finally:
        SAMAttention.forward, sam_vit.gelu_linear = ours


def forms(
    encoder: DeepEncoder, images: Tensor, args: argparse.Namespace
) -> dict[str, Callable[[], Tensor]]:
    """One step of either form, the slower one first; it returns the last map's mean square."""

    def step(model: DeepEncoder, parts: list[Tensor]) -> Tensor:
        cast = torch.autocast(DEVICE.type, torch.bfloat16, args.bf16 and args.train)
        with cast, torch.set_grad_enabled(args.train):
            loss = torch.stack([model(part).maps[-1].float().square().mean() for part in parts])
            loss = loss.mean()
        if args.train:
            model.zero_grad(set_to_none=True)
            loss.backward()
        return loss.detach()

    def plain() -> Tensor:
        with official():
            return step(encoder, list(images.split(1)))

    ours = {"ours": lambda: step(encoder, [images])}
    if not args.compile:
        return {"official": plain, **ours}
    compiled = copy.deepcopy(encoder)
    assert compiled.clip is not None
    for block in [*compiled.sam.blocks, *compiled.clip.transformer.resblocks]:
        block.compile(dynamic=False)
    return {**ours, "compiled": lambda: step(compiled, [images])}


def kept(encoder: DeepEncoder, images: Tensor) -> dict[str, int]:
    """Bytes that autograd keeps of either form, parameters left out."""
    own = {p.untyped_storage()._cdata for p in encoder.parameters()}

    def step(parts: list[Tensor]) -> Tensor:
        return torch.stack([encoder(part).maps[-1].square().mean() for part in parts]).mean()

    with official():
        plain = saved_bytes(lambda: step(list(images.split(1))), own)
    return {"official": plain, "ours": saved_bytes(lambda: step([images]), own)}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sides", type=int, nargs="+", default=[512, 640])
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--train", action="store_true", help="forward and backward")
    parser.add_argument("--bf16", action="store_true")
    parser.add_argument("--compile", action="store_true", help="compiled blocks against eager ones")
    args = parser.parse_args()
    torch.manual_seed(0)
    encoder = DeepEncoder().to(DEVICE).train(args.train)
    for name, parameter in encoder.named_parameters():
        if "rel_pos" in name:  # they start as zeros
            torch.nn.init.normal_(parameter, std=0.02)
    kind = "training steps" if args.train else "forward passes"
    print(f"{DEVICE}, {torch.get_num_threads()} threads, {kind} of {args.batch} images")
    for side in args.sides:
        images = torch.randn(args.batch, 3, side, side, device=DEVICE)
        if args.bf16 and not args.train:
            encoder, images = encoder.to(torch.bfloat16), images.to(torch.bfloat16)
        steps = forms(encoder, images, args)
        slow, fast = steps
        times: dict[str, list[float]] = {name: [] for name in steps}
        flops: dict[str, int] = {}
        losses: dict[str, float] = {}
        for name, step in steps.items():
            if name == "compiled":  # what is traced while FLOPs are counted is not compiled
                losses[name], flops[name] = step().item(), flops["ours"]
                continue
            # The fused attention of a CPU would not be counted.
            with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
                losses[name] = step().item()
            flops[name] = counter.get_total_flops()
        for _ in range(args.rounds):
            for name, step in steps.items():
                start = time.perf_counter()
                step()
                if DEVICE.type == "cuda":
                    torch.cuda.synchronize()
                times[name].append(time.perf_counter() - start)
        seconds = {name: statistics.median(values) for name, values in times.items()}
        ratio, bound = (x[slow] / x[fast] for x in (seconds, flops))
        apart = abs(losses[fast] / losses[slow] - 1)
        speed = f"{args.batch / seconds[fast]:.2f} images/s, "
        speed += f"{min(flops.values()) / seconds[fast] / 1e12:.3f} TFLOP/s"
        print(
            f"{side} px: {slow} {seconds[slow]:.2f} s, {fast} {seconds[fast]:.2f} s, {ratio:.2f} x "
            f"(FLOPs allow {bound:.2f}); {speed}; losses {apart:.1e} apart",
            flush=True,
        )
        if args.train and not args.compile:
            memory = kept(encoder, images)
            print(
                f"  kept for the backward: official {memory['official'] / 2**30:.2f} GiB, ours "
                f"{memory['ours'] / 2**30:.2f} GiB, ratio {memory['ours'] / memory['official']:.2f}"
            )


if __name__ == "__main__":
    main()
