# oCLIP as published (ECCV 2022): RN50, 512 x 512, batch 256, 100 epochs, on our generated scenes.
# Command:  python tools/pretrain.py configs/pretrain/oclip_clip-resnet50_100e_synthetic.py
# Hardware: 4 GPUs of 64 images each (the official command). Time and result: not measured.
_base_ = ["../_base_/runtime.py"]

backbone = dict(type="ocrpretrain.backbones.CLIPResNet", layers=(3, 4, 6, 3), width=64)
head = dict(
    type="ocrpretrain.heads.OCLIPHead",
    embed_dim=384,
    grid=(16, 16),
    text_width=64,
    text_heads=8,
    text_layers=6,
    decoder_layers=6,
    max_label_length=25,
    max_words=32,
)
data = dict(
    train=dict(type="ocrpretrain.data.SyntheticScenes", length=858750, seed=0),
    val=dict(type="ocrpretrain.data.SyntheticScenes", length=2048, seed=1, fresh=False),
    view=dict(size=(512, 512), resize="pad", crop=(0.7, 1.0)),
    batch_size=64,
    num_workers=12,
)
scheduler = dict(warmup_steps=10000)
trainer = dict(max_epochs=100, accelerator="gpu", devices=4, strategy="ddp", precision="bf16-mixed")
