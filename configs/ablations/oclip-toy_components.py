# The same parts on a backbone of width 16: hours on 2 CPU cores, judged while pretraining.
# python tools/ablate.py configs/ablations/oclip-toy_components.py
pretrain = dict(config="../pretrain/oclip_clip-resnet-toy_32e_synthetic.py", seeds=[0, 1, 2])
axes = dict(
    parts={
        "CAE+VTD+BCL": {},
        "bag+VTD+BCL": {"head.text_encoder": "bag"},
        "bpe+VTD+BCL": {"head.text_encoder": "bpe"},
    },
)
metric = "val/char_accuracy"
show = ["val/blind_char_accuracy", "val/i2t_recall1", "val/t2i_recall1"]
baseline = dict(parts="CAE+VTD+BCL")
