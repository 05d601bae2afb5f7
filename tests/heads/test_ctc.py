"""The CTC reader: exact loss and scores, what is left out is counted, any backbone, it learns."""

from __future__ import annotations

from itertools import product

import cv2
import numpy as np
import pytest
import torch
from torch.nn.functional import one_hot

from ocrpretrain.backbones import CLIPResNet, ConvBackbone, Features
from ocrpretrain.data.charset import Charset
from ocrpretrain.data.views import Sample
from ocrpretrain.heads import CTCHead
from ocrpretrain.heads.ctc_batch import CTCCollator


def sample(text, index=0, size=(32, 128), **options) -> Sample:
    image = np.random.default_rng(index).integers(0, 256, (*size, 3), np.uint8)
    return Sample(image, options.pop("mask", None), [text], [None], f"{index}", index, **options)


def test_targets_and_what_is_left_out():
    collate = CTCCollator(Charset.load(36), max_label_length=6)
    texts = ["Hello", "aa b", "Né!t", "?", "abcdefg", ""]
    batch = collate([sample(text, i) for i, text in enumerate(texts)])
    ids = Charset.load(36).encode
    rows = [ids("hello"), ids("aab"), ids("nt"), [], [], []]
    assert batch["length"].tolist() == [5, 3, 2, 0, 0, 0]
    assert batch["columns"].tolist() == [6, 4, 2, 0, 0, 0]  # doubled letters need a blank
    assert [row[: len(r)].tolist() for row, r in zip(batch["target"], rows, strict=True)] == rows
    assert batch["left_out"] == {
        "unreadable_images": 0, "cropped_words": 0, "unknown_characters": 3, "unknown_words": 2,
        "long_words": 1,
    }  # fmt: skip
    odd = collate([sample("a", cropped=2, replaced=1)])["left_out"]
    assert odd["cropped_words"] == 2 and odd["unreadable_images"] == 1


def spell(log_prob_BTV: torch.Tensor):
    """In place of a head's `log_probs`: these columns; features are the numbers of real ones."""
    whole = torch.full((len(log_prob_BTV),), log_prob_BTV.shape[1])
    return lambda features: (log_prob_BTV, whole if features is None else features)


def brute_force(log_prob_TV: torch.Tensor, target: list[int]) -> float:
    """Probability of a text: the sum over all paths of columns that collapse to it."""
    total = 0.0
    for path in product(range(log_prob_TV.shape[1]), repeat=len(log_prob_TV)):
        merged = [c for i, c in enumerate(path) if i == 0 or path[i - 1] != c]
        if [c for c in merged if c] == target:
            total += (
                torch.stack([row[c] for row, c in zip(log_prob_TV, path, strict=True)]).sum().exp()
            )
    return float(total)


@pytest.fixture
def tiny(tmp_path):
    (tmp_path / "abc.txt").write_text("abc")
    return CTCHead([8], [4], charset=str(tmp_path / "abc.txt"), hidden=8)


def test_loss_and_score_are_sums_over_all_alignments(tiny):
    log_probs = torch.randn(3, 4, 4).log_softmax(-1)
    tiny.log_probs = spell(log_probs)
    collate = tiny.collator()
    texts = ["ab", "aa", "c"]
    batch = collate([sample(text, i) for i, text in enumerate(texts)])
    exact = [
        -np.log(brute_force(log_probs[i], tiny.charset.encode(text))) / len(text)
        for i, text in enumerate(texts)
    ]
    losses, metrics = tiny(None, batch)
    assert losses["ctc"].item() == pytest.approx(np.mean(exact), rel=1e-5)
    assert metrics["words_without_room"] == 0
    read = tiny.predict(None, batch)
    for i, (text, score) in enumerate(zip(read.texts, read.scores, strict=True)):
        assert score == pytest.approx(
            brute_force(log_probs[i], tiny.charset.encode(text)), rel=1e-5
        )
        assert read.others[i] == [(text, score)]


def columns(*rows: str) -> torch.Tensor:
    """One column per letter, '-' being blank."""
    ids = torch.tensor([["-abc".index(char) for char in row] for row in rows])
    return (one_hot(ids, 4) * 20.0).log_softmax(-1)


def test_greedy_decoding(tiny):
    tiny.log_probs = spell(columns("aab-b-", "------", "a--a-c", "abcabc"))
    batch = tiny.collator()([sample("x", i) for i in range(4)])
    assert tiny.predict(None, batch).texts == ["abb", "", "aac", "abcabc"]
    lengths = torch.tensor([2, 6, 3, 4])  # columns beyond are padding
    assert tiny.predict(lengths, batch).texts == ["a", "", "a", "abca"]


def test_words_without_room_are_counted_and_left_out(tiny):
    log_probs = columns("ab-", "abc", "cc-").requires_grad_()
    tiny.log_probs = spell(log_probs)
    labels = ["ab", "abca", "cc"]  # four letters, and a double one, do not fit into three columns
    batch = tiny.collator()([sample(text, i) for i, text in enumerate(labels)])
    losses, metrics = tiny(None, batch)
    assert metrics["words_without_room"] == 1
    tiny.log_probs = spell(log_probs[[0, 2]])
    others = tiny.collator()([sample("ab"), sample("cc")])
    assert losses["ctc"].item() == pytest.approx(tiny(None, others)[0]["ctc"].item())
    tiny.log_probs = spell(log_probs[:1])
    nothing = tiny.collator()([sample("?")])
    loss = tiny(None, nothing)[0]["ctc"]
    assert loss == 0 and loss.requires_grad


@pytest.mark.parametrize(
    "backbone", [ConvBackbone(8), ConvBackbone(8, (1, 1)), CLIPResNet((1, 1, 1, 1), 8)]
)
def test_any_backbone_has_a_column_per_four_pixels_and_is_trained_by_it(backbone):
    head = CTCHead(backbone.out_channels, backbone.strides, hidden=16)
    batch = head.collator()([sample("word", i) for i in range(4)])
    features = head.encode(backbone, batch)
    log_prob_BTV, columns_B = head.log_probs(features)
    assert log_prob_BTV.shape == (4, 32, 95) and columns_B.tolist() == [32] * 4
    assert torch.allclose(log_prob_BTV.exp().sum(-1), torch.ones(4, 32))
    losses, _ = head(features, batch)
    losses["ctc"].backward()
    parameters = [*backbone.parameters(), *head.parameters()]
    assert all(p.grad is not None and p.grad.isfinite().all() for p in parameters)


def test_padding_is_neither_pooled_nor_read():
    head = CTCHead([3], [4], hidden=8).eval()
    mask = torch.zeros(1, 32, 128, dtype=torch.bool)
    mask[:, 16:], mask[:, :, 64:] = True, True
    image = torch.randn(1, 3, 8, 32)
    changed = image.clone()
    changed[:, :, 4:] += 5
    (a, columns_a), (b, _) = (head.log_probs(Features((x,), mask=mask)) for x in (image, changed))
    assert columns_a.tolist() == [16] and torch.equal(a, b)
    assert not torch.equal(head.log_probs(Features((changed,)))[0], b)


def test_validation_counts_by_the_protocol_beside_its_blind_twin(tiny):
    head = CTCHead([8], [4], hidden=8)
    ids = Charset.load(94).encode
    reads = ["Hello", "it's", "!", "b"]
    log_probs = torch.full((4, 12, 95), -30.0)
    for row, text in enumerate(reads):
        path = [i for char in text for i in (*ids(char), 0)]
        log_probs[row, range(12), path + [0] * (12 - len(path))] = 0.0
    head.log_probs = spell(log_probs)
    batch = head.collator()([sample(t, i) for i, t in enumerate(["hello", "Its", "?", "ab"])])
    values = head.validate(None, batch)
    assert values["word_accuracy"].tolist() == [1, 1, 0]  # '?' has no character that counts
    assert values["one_minus_ned"].tolist() == [1, 1, 0.5]
    assert values["blind_word_accuracy"].tolist() == [0, 0, 0]
    metrics = head.summarize(values)
    assert metrics["word_accuracy"] == pytest.approx(2 / 3) and metrics["words"] == 3
    head.log_probs = spell(log_probs[:1])
    one = head.validate(None, head.collator()([sample("hello")]))
    assert one["word_accuracy"].tolist() == [1] and one["blind_word_accuracy"].tolist() == []


def test_it_learns_to_read_a_few_words():
    words = ["cat", "DOG", "bee", "4711", "Ox"]
    samples = []
    for index, word in enumerate(words):
        image = np.full((32, 128, 3), 30, np.uint8)
        cv2.putText(image, word, (2, 24), cv2.FONT_HERSHEY_SIMPLEX, 0.8, (230, 230, 230), 2)
        samples.append(Sample(image, None, [word], [None], word, index))
    backbone = ConvBackbone(16, (1, 1, 1))
    head = CTCHead(backbone.out_channels, backbone.strides, hidden=64)
    batch = head.collator()(samples)
    optimizer = torch.optim.AdamW([*backbone.parameters(), *head.parameters()], lr=1e-2)
    for _ in range(120):
        losses, _ = head(head.encode(backbone, batch), batch)
        optimizer.zero_grad()
        losses["ctc"].backward()
        optimizer.step()
    assert losses["ctc"] < 0.3
    read = head.predict(head.encode(backbone, batch), batch)
    assert read.texts == words and min(read.scores) > 0.3
