# PARSeq-S as published (ECCV 2022), on our generated words: 32 x 128, patch 4 x 8, 20 epochs.
# Command:  python tools/pretrain.py configs/pretrain/parseq_vit-small_20e_synthetic-words.py
# Hardware: 2 GPUs of 384 images each. Time and result: not measured. Weight averaging is left out.
_base_ = ["../_base_/runtime.py"]

backbone = dict(
    type="ocrpretrain.backbones.ClipViT", size=(32, 128), patch=(4, 8), width=384, layers=12,
    heads=6, class_token=False, eps=1e-6, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5),
)  # fmt: skip
head = dict(
    type="ocrpretrain.heads.CLIP4STRHead", charset=94, cross_branch=False, width=None, heads=12
)
data = dict(
    train=dict(type="ocrpretrain.data.SyntheticWords", length=3300000, seed=0),
    val=dict(type="ocrpretrain.data.SyntheticWords", length=4096, seed=1, fresh=False),
    view=dict(size=(32, 128), resize="squash", augment="parseq"),
    batch_size=384,
    num_workers=8,
)
# 7e-4 * sqrt(2 devices) * 384 / 256
optimizer = dict(lr=1.485e-3, weight_decay=0.0)
scheduler = dict(_delete_=True, type="ocrpretrain.optim.OneCycle", warmup=0.075)
trainer = dict(
    max_epochs=20, accelerator="gpu", devices=2, strategy="ddp", precision="16-mixed",
    gradient_clip_val=20.0,
)  # fmt: skip
