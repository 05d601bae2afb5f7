"""The decoder with experts equals DeepSeek-OCR's, with padding, images, and token by token."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from conftest import assert_close, golden, section

from ocrpretrain.errors import ConfigError
from ocrpretrain.layers.causal_decoder import CausalDecoder
from ocrpretrain.layers.moe import MixtureOfExperts
from ocrpretrain.weights.convert_deepseek import from_deepseek_decoder

PUBLISHED = {
    "vocab_size": 129280, "width": 1280, "layers": 12, "heads": 10, "hidden": 6848, "experts": 64,
    "expert_hidden": 896, "top": 6, "shared": 2,
}  # fmt: skip


@pytest.fixture(scope="module")
def reference():
    tensors, info = golden("moe_decoder")
    config = info["config"]
    decoder = CausalDecoder(
        config["vocab_size"], config["hidden_size"], config["num_hidden_layers"],
        config["num_attention_heads"], config["intermediate_size"], config["n_routed_experts"],
        config["moe_intermediate_size"], config["num_experts_per_tok"], config["n_shared_experts"],
    )  # fmt: skip
    decoder.load_state_dict(from_deepseek_decoder(section(tensors, "weight/")), strict=True)
    return tensors, info, decoder


@pytest.mark.golden
def test_logits_and_loss(reference):
    tensors, info, decoder = reference
    with torch.no_grad():
        padding = tensors["input/attention_mask"] == 0
        states, _ = decoder(decoder.embedding(tensors["input/input_ids"]))
        logits = decoder.head(states)
    assert not padding[0].any()
    assert_close(logits, tensors["output/tokens/logits"], 1e-5, "logits")
    labels = tensors["input/labels"][:, 1:].flatten()
    loss = F.cross_entropy(logits[:, :-1].flatten(0, 1), labels)
    assert_close(loss, tensors["output/tokens/loss"], 1e-5, "loss")


@pytest.mark.golden
def test_padding_on_the_left(reference):
    tensors, _, decoder = reference
    padding = tensors["input/attention_mask"] == 0
    x = decoder.embedding(tensors["input/input_ids_left_padded"])
    shifted = (~padding).long().cumsum(1).sub(1).clamp(min=0)
    for name, positions in (("logits", None), ("logits_shifted_positions", shifted)):
        with torch.no_grad():
            logits = decoder.head(decoder(x, padding, positions)[0])
        logits = logits.masked_fill(padding[..., None], 0)
        assert_close(logits, tensors[f"output/left_padded/{name}"], 1e-5, name)


@pytest.mark.golden
@pytest.mark.parametrize("name", ["global_only", "tiles_2x1"])
def test_embeddings_of_images(reference, name):
    tensors, _, decoder = reference
    with torch.no_grad():
        x = tensors[f"output/image_{name}/merged_embeddings"]
        logits = decoder.head(decoder(x)[0])
    assert_close(logits, tensors[f"output/image_{name}/logits"], 1e-5, name)


@pytest.mark.golden
def test_gradients_and_balance(reference):
    tensors, info, decoder = reference
    decoder.zero_grad()
    states, balance = decoder(decoder.embedding(tensors["input/input_ids"]))
    alpha = info["config"]["aux_loss_alpha"]
    assert_close(alpha * balance.detach(), tensors["output/train/aux_loss_layer1"], 1e-5, "balance")
    labels = tensors["input/labels"][:, 1:].flatten()
    loss = F.cross_entropy(decoder.head(states)[:, :-1].flatten(0, 1), labels)
    assert_close(loss.detach(), tensors["output/train/loss"], 1e-5, "loss")
    (loss + alpha * balance).backward()
    own = {name: p.grad for name, p in decoder.named_parameters()}
    for key, grad in section(tensors, "grad/").items():
        if ".experts." in key:
            found, wanted = own["layers.1.mlp.up"][0], grad
        else:
            ((name, wanted),) = from_deepseek_decoder({key: grad}).items()
            found = own[name]
        assert_close(found, wanted, 3e-5, key)


@pytest.mark.golden
def test_greedy_reading_token_by_token(reference):
    _, info, decoder = reference
    prompt = decoder.embedding(torch.tensor([info["greedy"]["prompt"]]))
    wanted = info["greedy"]["continuation"]
    found, score = decoder.generate(prompt, info["config"]["eos_token_id"], len(wanted))
    assert found[0].tolist() == wanted
    with torch.no_grad():
        ids = torch.tensor([info["greedy"]["prompt"] + wanted])
        logits = decoder.head(decoder(decoder.embedding(ids))[0])
    picked = logits[0, -len(wanted) - 1 : -1].log_softmax(-1)[range(len(wanted)), wanted]
    assert score.item() == pytest.approx(picked.mean().item(), rel=1e-4)


def test_generating_ends_with_every_text():
    decoder = CausalDecoder(11, 16, 2, 2, 32, 4, 8, 2, 1).eval()
    torch.nn.init.normal_(decoder.head.weight, std=1.0)
    x = torch.randn(3, 4, 16)
    found, _ = decoder.generate(x, 1, 30)
    for row, one in zip(found.tolist(), x, strict=True):
        alone = decoder.generate(one[None], 1, 30)[0][0].tolist()
        assert row[: len(alone)] == alone and set(row[len(alone) :]) <= {1}
        assert 1 not in row or set(row[row.index(1) :]) == {1}


def test_experts_equal_their_plain_form():
    """Each token by itself: every chosen expert's gated MLP, weighted by the softmax."""
    layer = MixtureOfExperts(6, 5, 4, 2, 1)
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    x = torch.randn(2, 3, 6)
    out, balance = layer(x)
    for b in range(2):
        for s in range(3):
            token = x[b, s]
            scores = (layer.router @ token).softmax(0)
            wanted = layer.shared(token)
            for e in scores.topk(2).indices:
                hidden = F.silu(layer.gate[e] @ token) * (layer.up[e] @ token)
                wanted = wanted + scores[e] * (layer.down[e] @ hidden)
            assert torch.allclose(out[b, s], wanted, atol=1e-5)
    torch.nn.init.zeros_(layer.router)
    assert layer(x)[1].item() == pytest.approx(1.0) and balance.item() != pytest.approx(1.0)


def test_experts_are_chosen_in_float32_under_autocast():
    experts = MixtureOfExperts(64, 8, 64, 6, 0)
    torch.nn.init.normal_(experts.router)
    chosen: list[torch.Tensor] = []
    route = experts._route
    experts._route = lambda *x: chosen.append(x[2].sort(1)[0]) or route(*x)
    x = torch.randn(4, 500, 64)
    with torch.no_grad():
        experts(x)
        with torch.autocast("cpu", torch.bfloat16):
            out, _ = experts(x.bfloat16())
        experts(x.bfloat16().float())
    assert torch.equal(chosen[1], chosen[2]) and out.dtype == torch.bfloat16


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"heads": 5}, "5 heads of an even width"),
        ({"heads": 32}, "heads of an even width"),
        ({"experts": 4, "top": 2}, "expert_hidden: 1 or more"),
        ({"experts": 4, "top": 5, "expert_hidden": 8}, "top: 1 to 4"),
    ],
)
def test_wrong_sizes(options, message):
    with pytest.raises(ConfigError, match=message):
        CausalDecoder(9, 32, 1, **{"heads": 2, "hidden": 8, **options})


def test_the_published_size():
    with torch.device("meta"):
        decoder = CausalDecoder(**PUBLISHED)
    total = sum(p.numel() for p in decoder.parameters())
    assert total == 2_934_734_080
    routed = sum(p.numel() for layer in decoder.layers[1:] for p in (
        layer.mlp.gate, layer.mlp.up, layer.mlp.down))  # fmt: skip
    embedding = decoder.embedding.weight.numel()
    assert total - embedding - routed + routed * 6 // 64 == 574_127_360


@torch.no_grad()
def test_reading_behind_padding_is_reading_alone():
    torch.manual_seed(0)
    decoder = CausalDecoder(40, 32, 2, 4, 64, 4, 16, 2, 1)
    for parameter in decoder.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    long, short = torch.randn(1, 7, 32), torch.randn(1, 4, 32)
    both = torch.cat([long, torch.cat([torch.randn(1, 3, 32), short], 1)])
    padding = torch.tensor([[False] * 7, [True] * 3 + [False] * 4])
    together, scores = decoder.generate(both, 1, 12, padding)
    for row, score, alone in zip(together, scores, (long, short), strict=True):
        ids, own = decoder.generate(alone, 1, 12)
        assert row[: ids.shape[1]].tolist() == ids[0].tolist()
        assert torch.allclose(score, own[0], atol=1e-4)


def test_sixteen_bits_on_a_cpu_take_the_plain_attention():
    """The same within the rounding of bfloat16, in value and gradient."""
    torch.manual_seed(0)
    decoder = CausalDecoder(40, 32, 2, 4, 64)
    for parameter in decoder.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    x, padding = torch.randn(2, 9, 32), torch.tensor([[False] * 9, [True] * 4 + [False] * 5])
    for hidden in (None, padding):
        found = []
        for enabled in (False, True):
            with torch.autocast("cpu", torch.bfloat16, enabled):
                states = decoder(x, hidden)[0].masked_fill(padding[..., None], 0)
            decoder.zero_grad()
            states.float().square().mean().backward()
            found.append((states.float(), decoder.layers[0].attention.k.weight.grad.clone()))
        for a, b in zip(*found, strict=True):
            assert (a - b).norm() < 0.05 * a.norm()
