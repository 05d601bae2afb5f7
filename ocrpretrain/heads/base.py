"""The contract of a head: the pretext task that trains a backbone. A new method is one file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, Required, TypedDict

from torch import Tensor, nn

from ocrpretrain.backbones.base import Backbone, Features
from ocrpretrain.errors import ConfigError
from ocrpretrain.layers.pieces import EAGER, Runner
from ocrpretrain.strides import Stride

if TYPE_CHECKING:
    from ocrpretrain.data.views import Sample


class Batch(TypedDict, total=False):
    """What a collator returns; each head's collator adds its own keys (tokens, targets).

    Attributes:
        image: (B, 3, H, W) uint8.
        mask: (B, H, W) bool, True = padding, or None where nothing is padded.
        text: the raw words or the page's text, so that metrics and pictures never re-decode.
        id: names of the images.
    """

    image: Required[Tensor]
    mask: Tensor | None
    text: Required[list[list[str]]]
    id: list[str]


class HeadOutput(NamedTuple):
    """What a head's forward returns.

    Attributes:
        losses: scalars; each is weighted by `head.loss_weights` and summed.
        metrics: scalars that are only logged.
    """

    losses: dict[str, Tensor]
    metrics: dict[str, Tensor]


class Prediction(NamedTuple):
    """What a head reads in B images.

    Attributes:
        texts: the best answer per image.
        scores: its score, higher is better; what it means is the head's to say.
        others: all answers per image with their scores, the best first.
        branches: of a head that answers in several ways, each one's answers.
        counts: what was cut or left out on the way, by name.
    """

    texts: list[str]
    scores: list[float]
    others: list[list[tuple[str, float]]]
    branches: Mapping[str, list[tuple[str, float]]] = {}
    counts: Mapping[str, int] = {}


Collator = Callable[[list["Sample"]], Any]


class Head(nn.Module, ABC):
    """A pretext task on the features of any backbone.

    Subclasses set `view` (which samples they want), `default_loss_weights` (one entry per loss)
    and `monitor` (the logged metric by which the best checkpoint is chosen, higher is better; an
    instance may set another).

    A head whose samples are each other's negatives sets `needs_whole_batch`: then a batch is never
    split into accumulated parts. `runner` is how a head that reads runs the pieces of its work; a
    reader on a GPU sets one that replays graphs where `replays` says that pieces of `encode` and
    `predict` never wait for the device.

    Args:
        in_channels: channels of each map; given by the engine.
        strides: stride of each map, a pair where height and width differ; given by the engine.
        loss_weights: overrides entries of `default_loss_weights`.

    Raises:
        ConfigError: a weight for a loss that the head does not have.
    """

    view: ClassVar[Literal["scene", "word", "page"]]
    monitor: str
    needs_whole_batch: bool = False
    runner: Runner = EAGER
    replays: bool = False
    default_loss_weights: ClassVar[Mapping[str, float]]

    def __init__(
        self,
        in_channels: Sequence[int],
        strides: Sequence[Stride],
        loss_weights: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__()
        self.in_channels, self.strides = tuple(in_channels), tuple(strides)
        unknown = set(loss_weights or {}) - set(self.default_loss_weights)
        if unknown:
            raise ConfigError(
                f"loss_weights: {type(self).__name__} has no loss {sorted(unknown)}; "
                f"it has {sorted(self.default_loss_weights)}"
            )
        self.loss_weights = {**self.default_loss_weights, **(loss_weights or {})}

    def files(self) -> dict[str, str]:
        """By argument, what the file says that it names: a reader file holds it, as `Inline`."""
        return {}

    @abstractmethod
    def collator(self) -> Collator:
        """A small picklable callable: list of samples -> batch. It tokenizes in the worker."""

    def encode(self, backbone: Backbone, batch: Any) -> Features:
        """Features of the batch; overridden only where an image is not one forward pass."""
        return backbone(backbone.normalize(batch["image"]), batch.get("mask"))

    @abstractmethod
    def forward(self, features: Features, batch: Any) -> HeadOutput:
        """The losses of one batch, as the head's own collator made it."""

    @abstractmethod
    def validate(self, features: Features, batch: Any) -> dict[str, Tensor]:
        """Per-sample tensors of one validation batch; they are concatenated over the split."""

    @abstractmethod
    def summarize(self, collected: dict[str, Tensor]) -> dict[str, float]:
        """Metrics from the concatenated tensors, each beside its blind twin (images shuffled)."""

    def predict(self, features: Features, batch: Any) -> Prediction:
        """What the images say, where the head can read."""
        raise TypeError(f"{type(self).__name__} does not read")

    def attention(self, features: Features, batch: Any) -> Tensor:
        """(B, queries, H, W) attention over the image, for pictures."""
        raise TypeError(f"{type(self).__name__} draws no attention")

    def pool_attention(self, features: Features) -> Tensor:
        """(B, H, W) attention of the image's one pooled feature, for pictures."""
        raise TypeError(f"{type(self).__name__} pools by no attention")
