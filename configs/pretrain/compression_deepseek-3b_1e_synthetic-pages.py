# DeepSeek-OCR's stage 2 as published: its decoder with experts on the encoder of stage 1, SAM and
# compressor frozen, batch 640, AdamW, steps from 3e-5, 8192 positions (up to 934 for the page); on
# our generated pages. The paper does not say where its steps are: here as in DeepSeek LLM.
# Command:  python tools/pretrain.py configs/pretrain/compression_deepseek-3b_1e_synthetic-pages.py
# Hardware: 8 GPUs of 4 pages each, 20 at a time. Time and result: not measured.
_base_ = ["compression_deep-encoder_2e_synthetic-pages.py"]

head = dict(
    max_tokens=7250,
    decoder=dict(
        vocab_size=129280,
        width=1280, layers=12, heads=10, hidden=6848, experts=64, expert_hidden=896, top=6, shared=2
    ),
)
init = [dict(file="stage1.safetensors", only=["backbone."])]
freeze = ["backbone.sam.", "backbone.net_2.", "backbone.net_3."]
data = dict(view=dict(_delete_=True, mode="gundam"), batch_size=4)
optimizer = dict(lr=3e-5)
scheduler = dict(_delete_=True, type="ocrpretrain.optim.Steps")
trainer = dict(max_epochs=1, accumulate_grad_batches=20)
