# What each part of oCLIP adds, at the published size: encoder, decoder, contrastive loss.
# python tools/ablate.py configs/ablations/oclip_components.py --dry-run
pretrain = dict(config="../pretrain/oclip_clip-resnet50_100e_synthetic.py", seeds=[0, 1, 2])
axes = dict(
    parts={
        "CAE+VTD+BCL": {},
        "CAE+VTD": {"head.contrastive": False},
        "CAE+BCL": {"head.decoder": False},
        "bag+VTD+BCL": {"head.text_encoder": "bag"},
        "bpe+VTD+BCL": {"head.text_encoder": "bpe"},
    },
)
finetune = [
    dict(
        config="../finetune/textdet/dbnet_clip-resnet-toy_240e_icdar2015.py",
        overrides={"model.neck.lateral_channels": 256, "model.neck.out_channels": 64,
                   "model.det_head.in_channels": 256},
        train="../../data/icdar2015/train", test="../../data/icdar2015/test",
        seeds=[0, 1, 2], random=True),
]
baseline = dict(parts="CAE+VTD+BCL")
