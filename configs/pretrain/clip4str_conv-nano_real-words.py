# As parseq_conv-nano_real-words.py, with the cross branch.
# Command:  python tools/pretrain.py THIS --init READER
_base_ = ["./parseq_conv-nano_real-words.py"]

head = dict(cross_branch=True, text=dict(width=64, heads=2, layers=2))
