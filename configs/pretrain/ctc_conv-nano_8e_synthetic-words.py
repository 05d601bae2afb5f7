# A CTC reader that learns on 2 CPU cores: generated words at 32 x 128.
# Command:  python tools/pretrain.py configs/pretrain/ctc_conv-nano_8e_synthetic-words.py
# With AVX512-BF16, 1.7 times as fast:  --cfg-options trainer.precision=bf16-mixed
_base_ = ["../_base_/runtime.py"]

backbone = dict(type="ocrpretrain.backbones.ConvBackbone", width=32, blocks=(1, 1, 2))
head = dict(type="ocrpretrain.heads.CTCHead", charset=94)
data = dict(
    train=dict(type="ocrpretrain.data.SyntheticWords", length=32768, seed=0),
    val=dict(type="ocrpretrain.data.SyntheticWords", length=1024, seed=1, fresh=False),
    view=dict(size=(32, 128), resize="squash"),
    batch_size=64,
    val_batch_size=256,
    num_workers=1,
)
optimizer = dict(lr=3e-3, weight_decay=0.01)
trainer = dict(max_epochs=8, accelerator="cpu", gradient_clip_val=5.0)
