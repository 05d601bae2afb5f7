# Optical compression that runs on 2 CPU cores: 256 x 256 pages of one column, 16 tokens, bytes.
# Command:  python tools/pretrain.py THIS
_base_ = ["../_base_/runtime.py"]

_pages = dict(
    type="ocrpretrain.data.SyntheticPages",
    size=(256, 256), body=(18, 24), columns=(1, 1), tables=0.0, figures=0.0, effects="none",
)  # fmt: skip
backbone = dict(
    type="ocrpretrain.backbones.DeepEncoder",
    sam=dict(width=96, depth=4, heads=3, global_blocks=(1, 3), out_channels=32, window=8, grid=16),
    clip=dict(width=128, layers=2, heads=2, grid=4),
)
head = dict(
    type="ocrpretrain.heads.CompressionHead",
    max_tokens=320,
    decoder=dict(width=192, layers=3, heads=6, hidden=512),
)
data = dict(
    train=dict(length=8192, seed=0, **_pages),
    val=dict(length=64, seed=1, fresh=False, **_pages),
    view=dict(size=(256, 256)),
    batch_size=16,
    num_workers=1,
)
optimizer = dict(lr=1e-3, weight_decay=0.05)
trainer = dict(max_epochs=8, accelerator="cpu", gradient_clip_val=1.0)
