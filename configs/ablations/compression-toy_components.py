# What optical compression is made of, as far as 2 CPU cores have it: one change at a time.
# python tools/ablate.py configs/ablations/compression-toy_components.py
# runs/text.safetensors is a run with head.sees='nothing', exported with --reader.
_type = "ocrpretrain.backbones."
_sam = dict(width=96, depth=2, heads=3, global_blocks=(1,), out_channels=64, window=8, grid=16,
            stem="conv")  # fmt: skip
_vit = dict(patch=(16, 16), width=96, layers=3, heads=3, stem="conv")
pretrain = dict(config="../pretrain/compression_deep-encoder-toy_12e_synthetic-pages.py", seeds=[0])
axes = dict(
    parts={
        "DeepEncoder, 8 tokens": {},
        "4 tokens": {"head.tokens": 4},  # 2 x 2
        "1 token": {"head.tokens": 1},
        "no image": {"head.sees": "nothing", "freeze": ["backbone."]},
        "text, mean-pooled": {"head.sees": "text", "freeze": ["backbone."]},
        "half of the text given": {"data.view.optical_share": 0.5},
        "SAM and compressor frozen": {
            "freeze": ["backbone.sam.", "backbone.net_2.", "backbone.net_3."]
        },
        "text-pretrained decoder": {
            "init": [dict(file="runs/text.safetensors", only=["head.decoder."])]
        },
        "patches as stem": {"backbone.sam.stem": "patch"},
        "dual tower": {
            "backbone": dict(_delete_=True, type=_type + "DualTower", sam=_sam, compressed=96,
                             vit=dict(_vit, size=(64, 128))),
        },
        "tiles": {
            "backbone": dict(_delete_=True, type=_type + "Tiled", merge=4,
                             vit=dict(_vit, size=(128, 128))),
        },
        "native size": {
            "backbone": dict(_delete_=True, type=_type + "Adaptive", merge=4,
                             vit=dict(_vit, size=(128, 256))),
        },
    },
)  # fmt: skip
metric = "val/one_minus_ned"
show = ["val/precision"]
baseline = dict(parts="DeepEncoder, 8 tokens")
