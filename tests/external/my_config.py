# A user's config for a user's head, on a nano backbone: seconds on a CPU.
_scenes = dict(
    type="ocrpretrain.data.SyntheticScenes", size=(64, 64), words=(1, 2), letter_height=(0.2, 0.4)
)
backbone = dict(type="ocrpretrain.backbones.CLIPResNet", layers=(1, 1, 1, 1), width=8)
head = dict(type="my_head.ColourHead")
data = dict(
    train=dict(length=16, **_scenes),
    val=dict(length=8, seed=1, fresh=False, **_scenes),
    view=dict(size=64),
    batch_size=4,
)
optimizer = dict(lr=1e-3)
scheduler = dict(warmup_steps=1)
trainer = dict(
    max_epochs=2, accelerator="cpu", enable_progress_bar=False, enable_model_summary=False
)
logger = dict(mode="disabled")
