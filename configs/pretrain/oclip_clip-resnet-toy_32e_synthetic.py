# Small oCLIP that learns on 2 CPU cores: 128 x 128 scenes with one or two large words.
# Command:  python tools/pretrain.py configs/pretrain/oclip_clip-resnet-toy_32e_synthetic.py
_base_ = ["../_base_/runtime.py"]

_scenes = dict(
    type="ocrpretrain.data.SyntheticScenes",
    size=(128, 128),
    words=(1, 2),
    letter_height=(0.2, 0.4),
    angle=15.0,
    lines=1,
    text=dict(type="ocrpretrain.data.Texts", random=0.6),
)
backbone = dict(type="ocrpretrain.backbones.CLIPResNet", layers=(1, 1, 1, 1), width=16)
head = dict(
    type="ocrpretrain.heads.OCLIPHead",
    embed_dim=128,
    grid=(4, 4),
    text_width=64,
    text_heads=4,
    text_layers=2,
    decoder_layers=2,
)
data = dict(
    train=dict(length=8192, seed=0, **_scenes),
    val=dict(length=512, seed=1, fresh=False, **_scenes),
    view=dict(size=(128, 128), crop=(1.0, 1.0)),
    batch_size=64,
    num_workers=1,
)
optimizer = dict(lr=1e-3, weight_decay=0.05)
trainer = dict(max_epochs=32, accelerator="cpu", gradient_clip_val=1.0, check_val_every_n_epoch=2)
callbacks = [dict(type="ocrpretrain.callbacks.SamplePicture")]
