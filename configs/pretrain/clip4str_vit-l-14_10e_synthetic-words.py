# CLIP4STR-L/14 as published (TIP 2024), on our generated words: batch 960, 10 epochs.
# Command:  python tools/pretrain.py THIS
# It starts from CLIP: python tools/convert.py ViT-L-14/openai clip.safetensors
# Hardware: 4 GPUs of 48 images each, 5 batches a step. Time and result: not measured.
_base_ = ["./clip4str_vit-b-16_16e_synthetic-words.py"]

backbone = dict(name="ViT-L-14-quickgelu")
head = dict(width=768, text="ViT-L-14-quickgelu")
data = dict(batch_size=48)
optimizer = dict(lr=1.575e-4)  # 8.4e-5 * 960 / 512
trainer = dict(max_epochs=10, devices=4, accumulate_grad_batches=5)
