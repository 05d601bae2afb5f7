# Optical compression on one GPU: the toy's pages, wider and deeper, eight times its batch.
# Command:  python tools/pretrain.py THIS
_base_ = ["./compression_deep-encoder-toy_12e_synthetic-pages.py"]

backbone = dict(
    sam=dict(width=192, depth=4, heads=6, global_blocks=(1, 3), out_channels=64),
    clip=dict(width=256, layers=4, heads=8),
)  # fmt: skip
head = dict(decoder=dict(width=256, layers=4, heads=8, hidden=704))
data = dict(batch_size=256, val_batch_size=128, num_workers=4)
optimizer = dict(lr=1e-3)
trainer = dict(max_epochs=40, accelerator="gpu", devices=1, precision="bf16-mixed")
