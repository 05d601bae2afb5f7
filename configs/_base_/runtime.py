# What all pretraining runs share.
seed = 0
logger = dict(project="ocrpretrain", mode="offline")
optimizer = dict(type="torch.optim.AdamW", lr=1e-4, weight_decay=0.1)
scheduler = dict(type="ocrpretrain.optim.WarmupCosine", warmup_steps=0.05)
trainer = dict(log_every_n_steps=20)
