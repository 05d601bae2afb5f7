# The demo's finetuning on generated scenes: about a minute on 2 cores.
# Command:  make demo
_base_ = ["./dbnet_clip-resnet-toy_240e_icdar2015.py"]

_scenes = dict(
    type="ocrpretrain.data.SyntheticScenes", size=(256, 256), words=(2, 6),
    letter_height=(0.08, 0.2), angle=15.0, fresh=False)
_dataset = dict(_delete_=True, type="ocrpretrain.transfer.dataset.SourceDataset")
_load = [dict(type="LoadOCRAnnotations", with_polygon=True, with_bbox=True, with_label=True)]
_meta = ("img_path", "ori_shape", "img_shape")
_train = [*_load, dict(type="PackTextDetInputs", meta_keys=_meta)]
_test = [
    dict(type="LoadImageFromFile"),  # for MMOCR's own tools; a source decodes its images itself
    dict(type="Resize", scale=(256, 256), keep_ratio=True), *_load,
    dict(type="PackTextDetInputs", meta_keys=(*_meta, "scale_factor"))]

train_dataloader = dict(
    dataset=dict(source=dict(length=1024, seed=10, **_scenes), pipeline=_train, **_dataset))
val_dataloader = dict(
    dataset=dict(source=dict(length=48, seed=11, **_scenes), pipeline=_test, **_dataset))
test_dataloader = dict(
    dataset=dict(source=dict(length=64, seed=12, **_scenes), pipeline=_test, **_dataset))
param_scheduler = [
    dict(type="LinearLR", start_factor=0.1, end=20, by_epoch=False),
    dict(type="PolyLR", power=0.9, eta_min=1e-6, begin=20, end=512, by_epoch=False)]
train_cfg = dict(max_epochs=2)
