# The same parts as far as a small reader has them: hours on 2 CPU cores.
# python tools/ablate.py configs/ablations/clip4str-toy_components.py
pretrain = dict(config="../pretrain/clip4str_conv-nano_8e_synthetic-words.py", seeds=[0, 1, 2])
axes = dict(
    parts={
        "CLIP4STR": {},
        "no cross branch": {"head.cross_branch": False},
        "1 order": {"head.orders": 1},
        "12 orders": {"head.orders": 12},
        "no refinement": {"head.refine": 0},
        "2 refinements": {"head.refine": 2},
    },
)
metric = "val/word_accuracy"
show = ["val/one_minus_ned"]
baseline = dict(parts="CLIP4STR")
