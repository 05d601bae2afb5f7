"""The batch contrastive loss of CLIP and oCLIP.

Shapes: B pairs (of all processes, after gathering), D channels.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from ocrpretrain.layers.distributed import world_size


def gather_pairs(*tensors: Tensor) -> tuple[Tensor, ...]:
    """Concatenate each tensor over all processes, with gradient.

    Every process then computes the same global loss; the sum over processes in the gather's
    backward and the mean in DDP's cancel, so the gradient does not depend on their number.
    """
    if world_size() == 1:
        return tensors
    from torch.distributed.nn.functional import all_gather

    return tuple(torch.cat(list(all_gather(tensor.contiguous()))) for tensor in tensors)


def contrastive_loss(
    image_BD: Tensor, text_BD: Tensor, scale: Tensor, valid_B: Tensor | None = None
) -> Tensor:
    """Mean of the image-to-text and text-to-image cross entropies (oCLIP, equation 6).

    Args:
        image_BD: L2-normalised image features.
        text_BD: L2-normalised text features, row i belongs to image i.
        scale: inverse temperature.
        valid_B: bool, False = the pair is neither a query nor a candidate (no text).

    Returns:
        The loss; 0 where no pair is valid.
    """
    logits_BB = scale * image_BD @ text_BD.T
    target_B = torch.arange(len(logits_BB), device=logits_BB.device)
    if valid_B is None:
        return (F.cross_entropy(logits_BB, target_B) + F.cross_entropy(logits_BB.T, target_B)) / 2
    weight_B = valid_B.to(logits_BB.dtype)
    # Only candidates are masked out, and a query without text has weight 0: its row stays finite.
    lowest = torch.finfo(logits_BB.dtype).min
    loss = logits_BB.new_zeros(())
    for logits in (logits_BB, logits_BB.T):
        row_B = F.cross_entropy(
            logits.masked_fill(~valid_B[None, :], lowest), target_B, reduction="none"
        )
        loss = loss + torch.where(valid_B, row_B, 0.0).sum() / weight_B.sum().clamp(min=1) / 2
    return loss
