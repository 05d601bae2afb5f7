"""oCLIP (Xue et al., ECCV 2022): weakly supervised pretraining on images and their unordered words.

A character-aware text encoder embeds each word with one character masked; a decoder lets the word
query the image and predicts the masked character; image and mean word embedding are contrasted.
Shapes: B images, N real words of the batch, M masked characters, L ids of a word, T image tokens,
D embedding channels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ocrpretrain.backbones.base import Features
from ocrpretrain.data.charset import Charset
from ocrpretrain.data.tokenizer import BpeTokenizer, CharacterTokenizer
from ocrpretrain.errors import ConfigError
from ocrpretrain.heads.base import Head, HeadOutput, Prediction
from ocrpretrain.heads.oclip_batch import OCLIPBatch, OCLIPCollator, Queries
from ocrpretrain.heads.retrieval import both_ways
from ocrpretrain.layers.attention_pool import AttentionPool, grid_mask
from ocrpretrain.layers.contrastive import contrastive_loss, gather_pairs
from ocrpretrain.layers.distributed import global_mean
from ocrpretrain.layers.packing import Packed
from ocrpretrain.layers.positions import resize_grid
from ocrpretrain.layers.text_tower import CharacterBag, TextTower
from ocrpretrain.layers.visual_decoder import VisualTextualDecoder
from ocrpretrain.strides import Stride

MAX_LOGIT_SCALE = 4.6052  # ln 100, CLIP's bound


class ImageTokens(NamedTuple):
    """An image as the head sees it.

    Attributes:
        pooled: (B, D) L2-normalised, what texts are contrasted with.
        tokens: (B, T, D) what words query.
        positions: (T, D) added to the decoder's keys; None without decoder.
        padding: (B, T) True = padding, or None.
    """

    pooled: Tensor
    tokens: Tensor
    positions: Tensor | None
    padding: Tensor | None

    def shuffled(self) -> ImageTokens:
        """Each image replaced by its neighbour's, for the blind twins."""
        padding = None if self.padding is None else self.padding.roll(1, 0)
        return ImageTokens(self.pooled.roll(1, 0), self.tokens.roll(1, 0), self.positions, padding)


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
        text_encoder: what a word is to its encoder: 'character' (published), 'bpe' (CLIP's byte
            pairs; a masked character splits the word) or 'bag' (its characters without order).
        queries: 'word' (published): a word's vector asks the image and predicts its one masked
            character; 'character': each masked character's own state asks.
        mask_share: share of a word's characters that is masked, at least one; None masks one.
        decoder: whether there is a decoder and a character loss.
        contrastive: whether there is a contrastive loss.
        contrastive_sum: the sum of the two directions (paper) in place of their mean (code).
        pad_in_mean: the image's text feature averages the `max_words - n` empty slots too, and
            an image without words takes part in the contrastive loss (official code).
        mask_pool: padding is hidden from the attention pool too, not only from the decoder.
        clamp_logit_scale: keep the inverse temperature at 100 or below.
        compat: 'official' chooses the official code's behaviour for the last three and for the
            masked position, which may then be the EOS of a word that fills all positions.

    Raises:
        ConfigError: options that exclude each other.
    """

    view = "scene"
    monitor = "val/recall"
    default_loss_weights = {"character": 1.0, "contrastive": 1.0}

    def __init__(
        self,
        in_channels: Sequence[int],
        strides: Sequence[Stride],
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
        text_encoder: Literal["character", "bpe", "bag"] = "character",
        queries: Literal["word", "character"] = "word",
        mask_share: float | None = None,
        decoder: bool = True,
        contrastive: bool = True,
        contrastive_sum: bool = False,
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
        self.mask_eos, self.mask_share, self.queries = official, mask_share, queries
        self.contrastive_sum = contrastive_sum
        self._check(text_encoder, decoder, contrastive)
        self.charset = Charset.load(charset)
        self.max_label_length, self.max_words = max_label_length, max_words
        self.tokenizer = (
            BpeTokenizer() if text_encoder == "bpe" else CharacterTokenizer(self.charset)
        )

        self.grid = (int(grid[0]), int(grid[1]))
        vocab, width = self.tokenizer.vocab_size, in_channels[-1]
        self.attnpool = AttentionPool(width, embed_dim, pool_heads or width // 64, self.grid)
        if text_encoder == "bag":
            self.text = CharacterBag(vocab, text_width)
        else:
            context = self.tokenizer.context_length(max_label_length)
            self.text = TextTower(vocab, text_width, text_heads, text_layers, context)
        self.text_projection = nn.Parameter(torch.randn(text_width, embed_dim) * text_width**-0.5)
        self.decoder = self.image_pos = self.text_class = self.logit_scale = None
        if decoder:
            self.decoder = VisualTextualDecoder(embed_dim, text_heads, decoder_layers)
            cells = self.grid[0] * self.grid[1]
            self.image_pos = nn.Parameter(torch.randn(cells, embed_dim) * embed_dim**-0.5)
            self.text_class = nn.Linear(embed_dim, self.charset.vocab_size)
        if contrastive:
            self.logit_scale = nn.Parameter(torch.tensor(1 / 0.07).log())
        else:
            self.monitor = "val/char_accuracy"
        self.needs_whole_batch = contrastive

    def _check(self, text_encoder: str, decoder: bool, contrastive: bool) -> None:
        if not (decoder or contrastive):
            raise ConfigError("head: decoder=False and contrastive=False leave no loss")
        if self.mask_share is not None and not 0 < self.mask_share <= 1:
            raise ConfigError(f"head.mask_share: a share in (0, 1], found {self.mask_share}")
        if self.mask_share is not None and self.queries == "word" and decoder:
            raise ConfigError(
                "head.mask_share: a word's one vector predicts one character; several need "
                "queries='character'"
            )
        if self.queries == "character" and text_encoder != "character":
            raise ConfigError(
                f"head.queries: text_encoder={text_encoder!r} has no state for each character"
            )

    def files(self) -> dict[str, str]:
        return self.charset.files()

    def collator(self) -> OCLIPCollator:
        return OCLIPCollator(
            self.charset,
            self.max_label_length,
            self.max_words,
            self.tokenizer,
            self.mask_share,
            self.mask_eos,
        )

    def forward(self, features: Features, batch: OCLIPBatch) -> HeadOutput:
        """Masked-character cross entropy, and the batch contrastive loss."""
        metrics = {name: torch.tensor(float(n)) for name, n in batch["left_out"].items()}
        losses: dict[str, Tensor] = {}
        image = self.image_tokens(features)
        word_ND, query_MD = self.encode_words(batch["masked"], batch["queries"])
        if self.decoder is not None:
            logits_MV = self.read(query_MD, image, batch["queries"].packed)
            losses["character"] = global_mean(
                F.cross_entropy(logits_MV, batch["target"], reduction="none")
            )
            if len(logits_MV):
                metrics["char_accuracy"] = (logits_MV.argmax(-1) == batch["target"]).float().mean()
        if self.logit_scale is not None:
            losses["contrastive"] = self.contrast(image.pooled, word_ND, batch["packed"])
            metrics["logit_scale"] = self.logit_scale.exp().detach()
        return HeadOutput(losses, metrics)

    def image_tokens(self, features: Features) -> ImageTokens:
        """What words are compared with and what they query."""
        coarsest = features.maps[-1]
        size = (coarsest.shape[2], coarsest.shape[3])
        padding_BT = grid_mask(features.mask, *size)
        token_BTD = self.attnpool(coarsest, padding_BT if self.mask_pool else None)
        position_TD = None
        if self.image_pos is not None:
            position_TD = resize_grid(self.image_pos, self.grid, size)
        pooled_BD = F.normalize(token_BTD[:, 0], dim=-1)
        return ImageTokens(pooled_BD, token_BTD[:, 1:], position_TD, padding_BT)

    def encode_words(self, ids_NL: Tensor, queries: Queries | None = None) -> tuple[Tensor, Tensor]:
        """(N, L) ids -> (N, D) words, the encoder's states at EOS (the largest id), projected.

        And (M, D) queries: the states of the masked characters where those ask, else the words.
        """
        state_NLW = self.text(ids_NL)
        rows_N = torch.arange(len(ids_NL), device=ids_NL.device)
        word_ND = state_NLW[rows_N, ids_NL.argmax(-1)] @ self.text_projection
        if queries is None or self.queries == "word":
            return word_ND, word_ND
        return word_ND, state_NLW[queries.word, queries.position] @ self.text_projection

    def text_features(self, word_ND: Tensor, packed: Packed) -> tuple[Tensor, Tensor]:
        """(B, D) L2-normalised mean of each image's words, and (B,) whether it has any."""
        count_B1 = packed.counts().unsqueeze(1)
        total_BD = packed.sum(word_ND)
        if self.pad_in_mean:
            empty_1D, _ = self.encode_words(count_B1.new_zeros(1, 1))
            mean_BD = (total_BD + (self.max_words - count_B1) * empty_1D) / self.max_words
        else:
            mean_BD = total_BD / count_B1.clamp(min=1)
        return F.normalize(mean_BD, dim=-1), count_B1[:, 0] > 0

    def contrast(self, image_BD: Tensor, word_ND: Tensor, packed: Packed) -> Tensor:
        """The contrastive loss of all processes' images and their mean words."""
        assert self.logit_scale is not None
        if self.clamp_logit_scale and self.training:
            with torch.no_grad():
                self.logit_scale.clamp_(max=MAX_LOGIT_SCALE)
        text_BD, valid_B = self.text_features(word_ND, packed)
        image_BD, text_BD, valid_B = gather_pairs(image_BD, text_BD, valid_B.float())
        valid = None if self.pad_in_mean else valid_B > 0
        loss = contrastive_loss(image_BD, text_BD, self.logit_scale.exp(), valid)
        return 2 * loss if self.contrastive_sum else loss

    def read(self, query_MD: Tensor, image: ImageTokens, packed: Packed) -> Tensor:
        """(M, vocabulary) logits of the masked characters."""
        assert self.decoder is not None and self.text_class is not None
        assert image.positions is not None
        hidden_MD = self.decoder(query_MD, image.tokens, image.positions, packed, image.padding)
        return self.text_class(hidden_MD)

    def validate(self, features: Features, batch: OCLIPBatch) -> dict[str, Tensor]:
        """Features for retrieval (no character masked) and hits of the decoder, true and blind."""
        image, queries = self.image_tokens(features), batch["queries"]
        values: dict[str, Tensor] = {}
        if self.logit_scale is not None:
            word_ND, _ = self.encode_words(batch["tokens"])
            text_BD, valid_B = self.text_features(word_ND, batch["packed"])
            values |= {"image": image.pooled[valid_B], "text": text_BD[valid_B]}
        if self.decoder is not None:
            _, query_MD = self.encode_words(batch["masked"], queries)
            # A batch of one has no other image to be blinded with.
            count = len(query_MD) if queries.packed.images > 1 else 0
            for name, seen in {"hit": image, "blind": image.shuffled()}.items():
                logits_MV = self.read(query_MD, seen, queries.packed)
                values[name] = (logits_MV.argmax(-1) == batch["target"])[:count]
        return values

    def summarize(self, collected: dict[str, Tensor]) -> dict[str, float]:
        """Retrieval recalls and masked-character accuracy over the split, with blind twins."""
        metrics: dict[str, float] = {}
        if "image" in collected:
            image_ND, text_ND = collected["image"].float(), collected["text"].float()
            metrics |= both_ways(image_ND, text_ND)
            metrics |= both_ways(image_ND.roll(1, 0), text_ND, "blind_")
            metrics["retrieval_images"] = float(len(image_ND))
        if "hit" in collected:
            for name, key in (("char_accuracy", "hit"), ("blind_char_accuracy", "blind")):
                hits = collected[key].double()
                metrics[name] = hits.mean().item() if len(hits) else 0.0
        return metrics

    def predict(self, features: Features, batch: OCLIPBatch) -> Prediction:
        """Rank the labels of `collator().lexicon(...)` by their cosine with each image.

        Raises:
            TypeError: a head without contrastive loss, whose cosines mean nothing.
        """
        if self.logit_scale is None:
            raise TypeError("the head was built without contrastive loss, so it ranks nothing")
        word_KD, _ = self.encode_words(batch["tokens"])
        text_KD, valid_K = self.text_features(word_KD, batch["packed"])
        cosine_BK = self.image_tokens(features).pooled @ text_KD.T
        cosine_BK = cosine_BK.masked_fill(~valid_K, -1.0)
        score_BK, index_BK = cosine_BK.sort(dim=1, descending=True, stable=True)
        labels = [" ".join(words) for words in batch["text"]]
        others = [
            [(labels[i], score) for i, score in zip(*pair, strict=True)]
            for pair in zip(index_BK.tolist(), score_BK.tolist(), strict=True)
        ]
        best = [answers[0] for answers in others]
        return Prediction([text for text, _ in best], [score for _, score in best], others)

    def attention(self, features: Features, batch: OCLIPBatch) -> Tensor:
        """(B, S, h, w): where each word looks in the last decoder block.

        A word that asks by its characters looks where its masked ones do, on average.

        Raises:
            TypeError: a head without decoder.
        """
        if self.decoder is None:
            raise TypeError("the head has no decoder, so its words look nowhere")
        image, packed, queries = self.image_tokens(features), batch["packed"], batch["queries"]
        assert image.positions is not None
        of_words = self.queries == "word"
        asking = packed if of_words else queries.packed
        ids_NL = batch["tokens" if of_words else "masked"]
        _, query_MD = self.encode_words(ids_NL, queries)
        map_MT = self.decoder.attention(
            query_MD, image.tokens, image.positions, asking, image.padding
        )
        if not of_words:
            total_NT = map_MT.new_zeros(len(ids_NL), map_MT.shape[1])
            count_N1 = queries.word.bincount(minlength=len(ids_NL)).unsqueeze(1)
            map_MT = total_NT.index_add(0, queries.word, map_MT) / count_N1
        return packed.pad(map_MT).unflatten(-1, tuple(features.maps[-1].shape[2:]))

    def pool_attention(self, features: Features) -> Tensor:
        """(B, h, w): where the pooled token, the first query of the attention pool, looks."""
        coarsest = features.maps[-1]
        size = (coarsest.shape[2], coarsest.shape[3])
        padding_BT = grid_mask(features.mask, *size) if self.mask_pool else None
        return self.attnpool.attention(coarsest, padding_BT)[:, 0, 1:].unflatten(1, size)
