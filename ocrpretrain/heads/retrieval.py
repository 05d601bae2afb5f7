"""Retrieval recall between two sets of paired features."""

from __future__ import annotations

import torch
from torch import Tensor


def recall_at(query_ND: Tensor, candidate_ND: Tensor, ks: tuple[int, ...]) -> dict[int, float]:
    """Share of queries whose partner (same row) is among the k nearest candidates.

    Ties count against the query, so a constant embedding scores chance and not 1.

    Args:
        query_ND: (N, D) L2-normalised.
        candidate_ND: (N, D) L2-normalised.
        ks: numbers of neighbours.
    """
    if len(query_ND) == 0:
        return dict.fromkeys(ks, 0.0)
    similarity_NN = query_ND @ candidate_ND.T
    own_N1 = similarity_NN.diagonal().unsqueeze(1)
    rank_N = (similarity_NN >= own_N1).sum(1) - 1
    return {k: (rank_N < k).double().mean().item() for k in ks}


def both_ways(image_ND: Tensor, text_ND: Tensor, prefix: str = "") -> dict[str, float]:
    """R@1, R@5, R@10 from image to text and from text to image, and their mean."""
    metrics: dict[str, float] = {}
    for name, pair in (("i2t", (image_ND, text_ND)), ("t2i", (text_ND, image_ND))):
        for k, value in recall_at(*pair, (1, 5, 10)).items():
            metrics[f"{prefix}{name}_recall{k}"] = value
    metrics[f"{prefix}recall"] = float(torch.tensor(list(metrics.values())).mean())
    return metrics
