"""mmcv's compiled operators through torchvision's: what DBNet and its DCNv2 variants need.

Signatures are those of mmcv's binding (2.0): results are written into the given tensors.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torchvision import ops


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float, offset: int) -> Tensor:
    """Indices of kept boxes, by falling score.

    Args:
        boxes: (N, 4) x1, y1, x2, y2.
        scores: (N,).
        iou_threshold: boxes that overlap a better one by more are dropped.
        offset: 1 where coordinates are pixel indices, so that x2 belongs to the box.
    """
    if boxes.numel() == 0:
        return torch.empty(0, dtype=torch.long, device=boxes.device)
    shift = boxes.new_tensor([0, 0, offset, offset])
    return ops.nms(boxes + shift, scores, iou_threshold)


def _convolve(
    input: Tensor, weight: Tensor, bias: Tensor | None, offset: Tensor, mask: Tensor, options: Any
) -> Tensor:
    return ops.deform_conv2d(
        input,
        offset,
        weight,
        bias,
        stride=(options["stride_h"], options["stride_w"]),
        padding=(options["pad_h"], options["pad_w"]),
        dilation=(options["dilation_h"], options["dilation_w"]),
        mask=mask,
    )


def modulated_deform_conv_forward(
    input: Tensor,
    weight: Tensor,
    bias: Tensor,
    ones: Tensor,
    offset: Tensor,
    mask: Tensor,
    output: Tensor,
    columns: Tensor,
    **options: Any,
) -> None:
    """Modulated deformable convolution (DCNv2) into `output`; `ones` and `columns` are unused.

    Args:
        input: (N, C, H, W).
        weight: (C', C/groups, h, w).
        bias: (C',), used where `options['with_bias']`.
        ones: scratch of the compiled kernel.
        offset: (N, 2·deform_groups·h·w, H', W').
        mask: (N, deform_groups·h·w, H', W').
        output: (N, C', H', W'), written.
        columns: scratch of the compiled kernel.
        options: kernel_h/w, stride_h/w, pad_h/w, dilation_h/w, group, deformable_group, with_bias.
    """
    used = bias if options["with_bias"] else None
    result = _convolve(input, weight, used, offset, mask, options)
    output.resize_as_(result).copy_(result)


def modulated_deform_conv_backward(
    input: Tensor,
    weight: Tensor,
    bias: Tensor,
    ones: Tensor,
    offset: Tensor,
    mask: Tensor,
    columns: Tensor,
    grad_input: Tensor,
    grad_weight: Tensor,
    grad_bias: Tensor,
    grad_offset: Tensor,
    grad_mask: Tensor,
    grad_output: Tensor,
    **options: Any,
) -> None:
    """Gradients of `modulated_deform_conv_forward`, written into the `grad_*` tensors."""
    leaves = [t.detach().requires_grad_() for t in (input, weight, offset, mask)]
    x, w, o, m = leaves
    with torch.enable_grad():
        result = _convolve(x, w, None, o, m, options)
    gradients = torch.autograd.grad(result, leaves, grad_output)
    for target, value in zip(
        (grad_input, grad_weight, grad_offset, grad_mask), gradients, strict=True
    ):
        target.copy_(value)
    if options["with_bias"]:
        grad_bias.copy_(grad_output.sum((0, 2, 3)))


OPERATORS = {
    "nms": nms,
    "modulated_deform_conv_forward": modulated_deform_conv_forward,
    "modulated_deform_conv_backward": modulated_deform_conv_backward,
}
