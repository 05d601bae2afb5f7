# PARSeq's decoder on a small convolutional backbone: learns on 2 CPU cores.
# Command:  python tools/pretrain.py configs/pretrain/parseq_conv-nano_8e_synthetic-words.py
_base_ = ["./ctc_conv-nano_8e_synthetic-words.py"]

head = dict(
    _delete_=True, type="ocrpretrain.heads.CLIP4STRHead", charset=94, cross_branch=False,
    width=192, heads=6, positions=True, dropout=0.0,  # generated words never run out
)  # fmt: skip
optimizer = dict(lr=1.5e-3)
