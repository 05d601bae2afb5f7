# DeepSeek-OCR's stage 1 as published: DeepEncoder and a compact decoder, batch 1280, 2 epochs,
# AdamW, cosine from 5e-5, 4096 positions; on our generated pages in place of its own 130 million.
# The compact decoder is OPT-125M's size. SAM and CLIP start it (tools/convert.py, --deep-encoder).
# Command:  python tools/pretrain.py configs/pretrain/compression_deep-encoder_2e_synthetic-pages.py
# Hardware: 8 GPUs of 16 pages each, 10 at a time. Time and result: not measured.
_base_ = ["../_base_/runtime.py"]

_pages = dict(type="ocrpretrain.data.SyntheticPages", size=(1448, 1024))
_texts = dict(type="ocrpretrain.data.Texts")
backbone = dict(type="ocrpretrain.backbones.DeepEncoder")
head = dict(
    type="ocrpretrain.heads.CompressionHead",
    tokenizer="tokenizer.json",  # tools/prepare_data.py tokenizer tokenizer.json --ids 32768
    max_tokens=3800,
    decoder=dict(width=768, layers=12, heads=12, hidden=2048),
)
init = [
    dict(file="sam.safetensors", only=["backbone.sam."]),
    dict(file="clip.safetensors", only=["backbone.clip."]),
]
data = dict(
    train=dict(length=3000000, seed=0, text=dict(part="train", **_texts), **_pages),
    val=dict(length=256, seed=1, fresh=False, text=dict(part="test", **_texts), **_pages),
    view=dict(mode="base"),
    batch_size=16,
    num_workers=16,
)
optimizer = dict(lr=5e-5, weight_decay=0.1, betas=(0.9, 0.95))
trainer = dict(
    max_epochs=2, accelerator="gpu", devices=8, strategy="ddp", precision="bf16-mixed",
    accumulate_grad_batches=10, gradient_clip_val=1.0,
)  # fmt: skip
