# Goes on with a reader of generated words on the real training words of IIIT5K, SVT and ICDAR2015,
# generated ones mixed in; a tenth of IIIT5K's chooses the best checkpoint.
# Command:  python tools/pretrain.py THIS --init READER
_base_ = ["./parseq_conv-nano_8e_synthetic-words.py"]

_folder, _part = "ocrpretrain.data.LabelsFolder", "ocrpretrain.data.Part"
_iiit5k = dict(type=_folder, path="data/rec_iiit5k_train.zip", text="official")
data = dict(
    train=dict(
        _delete_=True,
        type="ocrpretrain.data.Mixed",
        sources=[
            dict(type=_part, source=_iiit5k, stop=0.9),
            dict(type=_folder, path="data/rec_svt_train.zip"),
            dict(type=_folder, path="data/rec_ic15_train.zip"),
            dict(type="ocrpretrain.data.SyntheticWords", length=32768, seed=2),
        ],
        weights=[1800, 257, 4468, 6525],
        length=13050,
    ),
    val=dict(_delete_=True, type=_part, source=_iiit5k, start=0.9),
    view=dict(augment="parseq"),
)
optimizer = dict(lr=1e-3)
trainer = dict(max_epochs=12)
