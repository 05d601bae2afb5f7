"""oCLIP (Xue et al., ECCV 2022): weakly supervised pretraining on images and their unordered words.

A character-aware text encoder embeds each word with one character masked; a decoder lets the word
query the image and predicts the masked character; image and mean word embedding are contrasted.
Shapes: B images, N real words of the batch, L characters, T image tokens, D embedding channels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ocrpretrain.backbones.base import Features
from ocrpretrain.data.charset import Charset
from ocrpretrain.heads.base import Head, HeadOutput
from ocrpretrain.heads.oclip_batch import OCLIPBatch, OCLIPCollator
from ocrpretrain.heads.retrieval import both_ways
from ocrpretrain.layers.attention_pool import AttentionPool, grid_mask
from ocrpretrain.layers.contrastive import contrastive_loss, gather_pairs
from ocrpretrain.layers.packing import Packed
from ocrpretrain.layers.positions import resize_grid
from ocrpretrain.layers.text_tower import TextTower
from ocrpretrain.layers.visual_decoder import VisualTextualDecoder

MAX_LOGIT_SCALE = 4.6052  # ln 100, CLIP's bound


class OCLIPHead(Head):
    """oCLIP's text encoder, decoder and losses on the coarsest map of any backbone.

    Args:
        in_channels: given by the engine.
        strides: given by the engine.
        loss_weights: of `character` and `contrastive` (both 1).
        charset: 36, 62, 94 or a file of characters.
        embed_dim: channels shared by image and words (D).
        grid: height and width of the position tables, in cells of the coarsest map; the
            training size divided by the stride. Other sizes resize the tables.
        pool_heads: heads of the attention pool; by default one per 64 channels.
        text_width: channels of the text encoder.
        text_heads: heads of the text encoder and of the decoder.
        text_layers: blocks of the text encoder.
        decoder_layers: blocks of the decoder.
        max_label_length: characters of a word, EOS included; longer words are cut.
        max_words: words per image; more are cut to a random subset per epoch.
        pad_in_mean: the image's text feature averages the `max_words - n` empty slots too, and
            an image without words takes part in the contrastive loss (official code).
        mask_pool: padding is hidden from the attention pool too, not only from the decoder.
        clamp_logit_scale: keep the inverse temperature at 100 or below.
        compat: 'official' chooses the official code's behaviour for the last three and for the
            masked position, which may then be the EOS of a word that fills all positions.
    """

    view = "scene"
    monitor = "val/recall"
    default_loss_weights = {"character": 1.0, "contrastive": 1.0}

    def __init__(
        self,
        in_channels: Sequence[int],
        strides: Sequence[int],
        loss_weights: Mapping[str, float] | None = None,
        charset: str | int = 94,
        embed_dim: int = 384,
        grid: Sequence[int] = (16, 16),
        pool_heads: int | None = None,
        text_width: int = 64,
        text_heads: int = 8,
        text_layers: int = 6,
        decoder_layers: int = 6,
        max_label_length: int = 25,
        max_words: int = 32,
        pad_in_mean: bool | None = None,
        mask_pool: bool | None = None,
        clamp_logit_scale: bool | None = None,
        compat: Literal["official"] | None = None,
    ) -> None:
        super().__init__(in_channels, strides, loss_weights)
        official = compat == "official"
        self.pad_in_mean = official if pad_in_mean is None else pad_in_mean
        self.mask_pool = not official if mask_pool is None else mask_pool
        self.clamp_logit_scale = not official if clamp_logit_scale is None else clamp_logit_scale
        self.charset = Charset.load(charset)
        self.max_label_length, self.max_words = max_label_length, max_words
        self.mask_eos = official

        self.grid = (int(grid[0]), int(grid[1]))
        vocab, width = self.charset.vocab_size, in_channels[-1]
        self.attnpool = AttentionPool(width, embed_dim, pool_heads or width // 64, self.grid)
        self.text = TextTower(vocab, text_width, text_heads, text_layers, max_label_length)
        self.text_projection = nn.Parameter(torch.randn(text_width, embed_dim) * text_width**-0.5)
        self.decoder = VisualTextualDecoder(embed_dim, text_heads, decoder_layers)
        self.image_pos = nn.Parameter(
            torch.randn(self.grid[0] * self.grid[1], embed_dim) * embed_dim**-0.5
        )
        self.text_class = nn.Linear(embed_dim, vocab)
        self.logit_scale = nn.Parameter(torch.tensor(1 / 0.07).log())

    def collator(self) -> OCLIPCollator:
        return OCLIPCollator(self.charset, self.max_label_length, self.max_words, self.mask_eos)

    def forward(self, features: Features, batch: OCLIPBatch) -> HeadOutput:
        """Masked-character cross entropy over real words, and the batch contrastive loss."""
        if self.clamp_logit_scale and self.training:
            with torch.no_grad():
                self.logit_scale.clamp_(max=MAX_LOGIT_SCALE)
        packed = batch["packed"]
        image_BTD, position_TD, padding_BT = self.image_tokens(features)
        word_ND = self.encode_words(batch["masked"])
        logits_NV = self.read(word_ND, image_BTD, position_TD, packed, padding_BT)
        # A sum over no word is 0 and stays in the graph; a mean would be NaN.
        character = F.cross_entropy(logits_NV, batch["target"], reduction="sum")
        character = character / max(len(word_ND), 1)

        image_BD = F.normalize(image_BTD[:, 0], dim=-1)
        text_BD, valid_B = self.text_features(word_ND, packed)
        image_BD, text_BD, valid_B = gather_pairs(image_BD, text_BD, valid_B.float())
        valid = None if self.pad_in_mean else valid_B > 0
        contrastive = contrastive_loss(image_BD, text_BD, self.logit_scale.exp(), valid)
        losses = {"character": character, "contrastive": contrastive}
        metrics = {name: torch.tensor(float(n)) for name, n in batch["left_out"].items()}
        metrics["logit_scale"] = self.logit_scale.exp().detach()
        if len(word_ND):
            hit_N = logits_NV.argmax(-1) == batch["target"]
            metrics["char_accuracy"] = hit_N.float().mean()
        return HeadOutput(losses, metrics)

    def image_tokens(self, features: Features) -> tuple[Tensor, Tensor, Tensor | None]:
        """Pooled tokens (B, 1 + T, D), decoder positions (T, D), padding (B, T) or None."""
        coarsest = features.maps[-1]
        size = (coarsest.shape[2], coarsest.shape[3])
        padding_BT = grid_mask(features.mask, *size)
        tokens = self.attnpool(coarsest, padding_BT if self.mask_pool else None)
        return tokens, resize_grid(self.image_pos, self.grid, size), padding_BT

    def encode_words(self, ids_NL: Tensor) -> Tensor:
        """(N, L) ids -> (N, D): the encoder's state at EOS, the largest id, projected."""
        state_NLW = self.text(ids_NL)
        rows = torch.arange(len(ids_NL), device=ids_NL.device)
        return state_NLW[rows, ids_NL.argmax(-1)] @ self.text_projection

    def text_features(self, word_ND: Tensor, packed: Packed) -> tuple[Tensor, Tensor]:
        """(B, D) L2-normalised mean of each image's words, and (B,) whether it has any."""
        count_B1 = packed.counts().unsqueeze(1)
        total_BD = packed.sum(word_ND)
        if self.pad_in_mean:
            empty = torch.zeros(1, 1, dtype=torch.long, device=word_ND.device)
            total_BD = total_BD + (self.max_words - count_B1) * self.encode_words(empty)
            mean_BD = total_BD / self.max_words
        else:
            mean_BD = total_BD / count_B1.clamp(min=1)
        return F.normalize(mean_BD, dim=-1), count_B1[:, 0] > 0

    def read(
        self,
        word_ND: Tensor,
        image_BTD: Tensor,
        position_TD: Tensor,
        packed: Packed,
        padding_BT: Tensor | None,
    ) -> Tensor:
        """(N, vocabulary) logits of each word's masked character."""
        hidden_ND = self.decoder(word_ND, image_BTD[:, 1:], position_TD, packed, padding_BT)
        return self.text_class(hidden_ND)

    def validate(self, features: Features, batch: OCLIPBatch) -> dict[str, Tensor]:
        """Features for retrieval (no character masked) and hits of the decoder, true and blind."""
        packed = batch["packed"]
        image_BTD, position_TD, padding_BT = self.image_tokens(features)
        text_BD, valid_B = self.text_features(self.encode_words(batch["tokens"]), packed)
        word_ND = self.encode_words(batch["masked"])
        hits: dict[str, Tensor] = {}
        shuffled = (image_BTD.roll(1, 0), None if padding_BT is None else padding_BT.roll(1, 0))
        for name, (image, padding) in {"hit": (image_BTD, padding_BT), "blind": shuffled}.items():
            logits_NV = self.read(word_ND, image, position_TD, packed, padding)
            hits[name] = logits_NV.argmax(-1) == batch["target"]
        if packed.images < 2:  # a batch of one has no other image to be blinded with
            hits = {name: hit[:0] for name, hit in hits.items()}
        image_BD = F.normalize(image_BTD[:, 0], dim=-1)
        return {"image": image_BD[valid_B], "text": text_BD[valid_B], **hits}

    def summarize(self, collected: dict[str, Tensor]) -> dict[str, float]:
        """Retrieval recalls and masked-character accuracy over the split, with blind twins."""
        image_ND, text_ND = collected["image"].float(), collected["text"].float()
        metrics = both_ways(image_ND, text_ND)
        metrics |= both_ways(image_ND.roll(1, 0), text_ND, "blind_")
        for name, key in (("char_accuracy", "hit"), ("blind_char_accuracy", "blind")):
            hits = collected[key].double()
            metrics[name] = hits.mean().item() if len(hits) else 0.0
        metrics["retrieval_images"] = float(len(image_ND))
        return metrics

    def attention(self, features: Features, batch: OCLIPBatch) -> Tensor:
        """(B, S, h, w): where each word's query looks in the last decoder block."""
        image_BTD, position_TD, padding_BT = self.image_tokens(features)
        word_ND = self.encode_words(batch["tokens"])
        packed = batch["packed"]
        map_NT = self.decoder.attention(word_ND, image_BTD[:, 1:], position_TD, packed, padding_BT)
        height, width = features.maps[-1].shape[2:]
        return packed.pad(map_NT).unflatten(-1, (height, width))
