# What CLIP4STR consists of, at the published size: one change at a time.
# python tools/ablate.py configs/ablations/clip4str_components.py --dry-run
_text = "head.text.tower."
_tables = [_text + "token_embedding", _text + "positional_embedding"]
_blocks = [f"{_text}transformer.resblocks.{i}." for i in range(12)]
_clip = dict(file="clip.safetensors")
_tokens = ["backbone.class_embedding", "backbone.positional_embedding"]
_but_patches = _tokens + [f"backbone.{part}." for part in ("ln_pre", "transformer", "ln_post")]
_but_patches += ["head.memory.", "head.text."]
pretrain = dict(config="../pretrain/clip4str_vit-b-16_16e_synthetic-words.py", seeds=[0, 1, 2])
axes = dict(
    parts={
        "CLIP4STR": {},
        "no cross branch": {
            "head.cross_branch": False,
            "freeze": [],
            "init": [dict(_clip, only=["backbone.", "head.memory."])],
        },
        "1 order": {"head.orders": 1},
        "12 orders": {"head.orders": 12},
        "0 frozen text layers": {"freeze": _tables},
        "12 frozen text layers": {"freeze": _tables + _blocks},
        "no refinement": {"head.refine": 0},
        "2 refinements": {"head.refine": 2},
        "convolutional stem": {
            "backbone.stem": "conv",
            "init": [dict(_clip, only=_but_patches)],
        },
    },
)
metric = "val/word_accuracy"
show = ["val/one_minus_ned"]
baseline = dict(parts="CLIP4STR")
