# CLIP4STR-B/16 as published (TIP 2024), on our generated words: 224 x 224, batch 1024, 16 epochs.
# Command:  python tools/pretrain.py configs/pretrain/clip4str_vit-b-16_16e_synthetic-words.py
# It starts from CLIP: python tools/convert.py ViT-B-16/openai clip.safetensors
# Hardware: 8 GPUs of 128 images each. Time and result: not measured.
_base_ = ["../_base_/runtime.py"]

backbone = dict(type="ocrpretrain.backbones.ClipViT", name="ViT-B-16-quickgelu")
head = dict(
    type="ocrpretrain.heads.CLIP4STRHead", charset=94, width=512, text="ViT-B-16-quickgelu"
)
init = [dict(file="clip.safetensors", only=["backbone.", "head.memory.", "head.text."])]
freeze = [
    "head.text.tower.token_embedding", "head.text.tower.positional_embedding",
    *[f"head.text.tower.transformer.resblocks.{i}." for i in range(6)],
]  # fmt: skip
data = dict(
    train=dict(type="ocrpretrain.data.SyntheticWords", length=3300000, seed=0),
    val=dict(type="ocrpretrain.data.SyntheticWords", length=4096, seed=1, fresh=False),
    view=dict(size=(224, 224), resize="squash", augment="parseq"),
    batch_size=128,
    num_workers=8,
)
optimizer = dict(
    lr=1.68e-4, weight_decay=0.2, betas=(0.9, 0.98), eps=1e-6,
    paramwise_cfg=dict(custom_keys={
        "head.visual_decoder": dict(lr_mult=19.0), "head.cross_decoder": dict(lr_mult=19.0),
    }),
)  # fmt: skip
scheduler = dict(_delete_=True, type="ocrpretrain.optim.OneCycle", warmup=0.075)
trainer = dict(
    max_epochs=16, accelerator="gpu", devices=8, strategy="ddp", precision="16-mixed",
    gradient_clip_val=20.0,
)  # fmt: skip
