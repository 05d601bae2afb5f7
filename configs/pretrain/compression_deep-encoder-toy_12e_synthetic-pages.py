# Optical compression for 2 CPU cores: 128 x 256 pages in one font, 8 vision tokens, bytes. Half of
# the texts are words by frequency, half random letters. Narrow, since images seen count for more.
# Command:  python tools/pretrain.py THIS
# With AVX512-BF16 or AMX, faster:  --cfg-options trainer.precision=bf16-mixed
_base_ = ["../_base_/runtime.py"]

_pages = dict(
    type="ocrpretrain.data.SyntheticPages",
    size=(128, 256), body=(24, 40), columns=(1, 1), tables=0.0, figures=0.0, effects="none",
    families=["Roboto"],
)  # fmt: skip
_texts = dict(type="ocrpretrain.data.Texts", part="train")
backbone = dict(
    type="ocrpretrain.backbones.DeepEncoder",
    sam=dict(width=96, depth=2, heads=3, global_blocks=(1,), out_channels=64, window=8, grid=16,
             stem="conv"),
    clip=dict(width=96, layers=1, heads=3, grid=4),
)  # fmt: skip
head = dict(
    type="ocrpretrain.heads.CompressionHead",
    max_tokens=128,
    decoder=dict(width=96, layers=2, heads=3, hidden=256),
)
data = dict(
    train=dict(
        type="ocrpretrain.data.Mixed", length=50000, weights=[1, 1],
        sources=[
            dict(_pages, length=50000, seed=0, text=dict(_texts, page="words")),
            dict(_pages, length=50000, seed=1, text=dict(_texts, page="letters")),
        ],
    ),
    val=dict(_pages, length=128, seed=2, fresh=False,
             text=dict(_texts, page="letters", part="test")),
    view=dict(size=(128, 256)),
    batch_size=32,
    val_batch_size=128,
    num_workers=1,
)  # fmt: skip
optimizer = dict(lr=1.5e-3, weight_decay=0.05)
trainer = dict(max_epochs=12, accelerator="cpu", gradient_clip_val=1.0)
