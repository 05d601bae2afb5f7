"""Forms of SAM's attention with relative positions on a GPU: forward, and forward with backward.

  python benchmarks/relative_attention.py                            # 64 x 64 cells, 8 x 12 heads
  python benchmarks/relative_attention.py --grid 14 14 --heads 2400  # their windows

bfloat16, 64 channels a head, medians of 5. `parts` computes a few queries at a time, `bias` stores
the sum of all pairs, `flex` is torch's flex_attention (compiled), `longer` is one product of
lengthened queries and keys with the named kernel; values are padded where it asks for that.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend
from torch.nn.attention.flex_attention import flex_attention

from ocrpretrain.layers import relative_attention as ra

CHANNELS = 64
compiled_flex = torch.compile(flex_attention, dynamic=False)
Form = Callable[[Tensor, Tensor, Tensor, tuple[Tensor, Tensor]], Tensor]


def parts(q: Tensor, k: Tensor, v: Tensor, rel: tuple[Tensor, Tensor]) -> Tensor:
    return ra._Chunked.apply(*(x.flatten(0, 1) for x in (q, k, v, *rel))).unflatten(0, q.shape[:2])


def bias(q: Tensor, k: Tensor, v: Tensor, rel: tuple[Tensor, Tensor]) -> Tensor:
    pairs = (rel[0][..., :, None] + rel[1][..., None, :]).flatten(3)
    return F.scaled_dot_product_attention(q, k, v, attn_mask=pairs)


def flex(q: Tensor, k: Tensor, v: Tensor, rel: tuple[Tensor, Tensor]) -> Tensor:
    rel_h, rel_w = rel
    columns = rel_w.shape[-1]

    def add(score: Tensor, b: Tensor, h: Tensor, i: Tensor, j: Tensor) -> Tensor:
        return score + rel_h[b, h, i, j // columns] + rel_w[b, h, i, j % columns]

    out = compiled_flex(q, k, v, score_mod=add)
    assert isinstance(out, Tensor)
    return out


def longer(kernel: SDPBackend, pad: bool) -> Form:
    def form(q: Tensor, k: Tensor, v: Tensor, rel: tuple[Tensor, Tensor]) -> Tensor:
        length = -(-sum(x.shape[-1] for x in (q, *rel)) // 8) * 8
        wide = F.pad(v, (0, length - v.shape[-1])) if pad else v
        return ra.lengthened(q, k, wide, rel, [kernel])[..., : v.shape[-1]]

    return form


FORMS: dict[str, Form] = {
    "parts": parts,
    "bias": bias,
    "flex": flex,
    "longer, flash": longer(SDPBackend.FLASH_ATTENTION, True),
    "longer, efficient": longer(SDPBackend.EFFICIENT_ATTENTION, False),
    "longer, cudnn": longer(SDPBackend.CUDNN_ATTENTION, False),
}


def milliseconds(run: Callable[[], object], rounds: int = 5) -> float:
    """Median on the device's clock."""
    taken = []
    for _ in range(rounds + 2):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        run()
        end.record()
        torch.cuda.synchronize()
        taken.append(start.elapsed_time(end))
    return statistics.median(taken[2:])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--grid", type=int, nargs=2, default=[64, 64])
    parser.add_argument("--heads", type=int, default=96, help="of all images together")
    args = parser.parse_args()
    torch.manual_seed(0)
    lengths, cells = [CHANNELS] * 3 + args.grid, args.grid[0] * args.grid[1]
    like = {"device": "cuda", "dtype": torch.bfloat16}
    inputs = [torch.randn(1, args.heads, cells, n, **like).requires_grad_() for n in lengths]
    q, k, v, rel_h, rel_w = inputs
    grad = torch.randn_like(q)
    flops = 4 * args.heads * cells**2 * CHANNELS
    few = tuple(x[:, :2].detach().double() for x in inputs)
    wanted = bias(*few[:3], (few[3], few[4]))
    for name, form in FORMS.items():
        error = (form(q, k, v, (rel_h, rel_w))[:, :2].double() - wanted).norm() / wanted.norm()
        with torch.no_grad():
            forward = milliseconds(lambda form=form: form(q, k, v, (rel_h, rel_w)))
        both = milliseconds(
            lambda form=form: torch.autograd.grad(form(q, k, v, (rel_h, rel_w)), inputs, grad)
        )
        rate = flops / forward / 1e9
        print(f"{name}: {forward:.2f} ms ({rate:.0f} TFLOP/s), {both:.2f} ms; error {error:.1e}")


if __name__ == "__main__":
    main()
