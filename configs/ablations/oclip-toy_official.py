# oCLIP's corrected defaults beside the official code's behaviour, same images and steps.
# python tools/ablate.py configs/ablations/oclip-toy_official.py
pretrain = dict(config="../pretrain/oclip_clip-resnet-toy_32e_synthetic.py", seeds=[0, 1, 2])
axes = dict(oclip={"corrected": {}, "official": {"head.compat": "official"}})
metric = "val/recall"
show = ["val/i2t_recall1", "val/t2i_recall1", "val/char_accuracy", "val/blind_char_accuracy"]
baseline = dict(oclip="corrected")
