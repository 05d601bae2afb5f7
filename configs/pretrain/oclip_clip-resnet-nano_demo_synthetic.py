# The demo's pretraining: one and a half minutes on 2 cores, enough to see the losses fall.
# Command:  make demo
_base_ = ["./oclip_clip-resnet-toy_32e_synthetic.py"]

data = dict(train=dict(length=2048, words=(1, 1)), val=dict(length=256, words=(1, 1)))
trainer = dict(max_epochs=4)
