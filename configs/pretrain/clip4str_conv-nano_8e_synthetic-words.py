# CLIP4STR's two branches on a small convolutional backbone, the text tower small and untrained.
# Command:  python tools/pretrain.py configs/pretrain/clip4str_conv-nano_8e_synthetic-words.py
_base_ = ["./parseq_conv-nano_8e_synthetic-words.py"]

head = dict(cross_branch=True, text=dict(width=64, heads=2, layers=2))
