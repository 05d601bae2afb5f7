# DBNet with a neck of 64 channels, for backbones of width 16, on 100 images and 2 CPU cores.
# Too short for a random backbone (see docs/results): 1,760 steps end on DBNet's plateau.
# python tools/finetune.py THIS --weights FILE --train FOLDER_OR_ZIP --test FOLDER_OR_ZIP
_base_ = [
    "mmocr::textdet/dbnet/_base_dbnet_resnet18_fpnc.py",
    "mmocr::textdet/_base_/default_runtime.py"]

model = dict(neck=dict(lateral_channels=64, out_channels=16), det_head=dict(in_channels=64))
_source = dict(type="ocrpretrain.data.Folder", path="data/icdar2015")
_dataset = "ocrpretrain.transfer.dataset.SourceDataset"
_train = [
    *_base_.train_pipeline[:3],
    dict(
        type="ImgAugWrapper",
        args=[["Fliplr", 0.5], dict(cls="Affine", rotate=[-10, 10]), ["Resize", [0.6, 1.6]]]),
    dict(type="TextDetRandomCrop", target_size=320, positive_sample_ratio=0.9),
    dict(type="ocrpretrain.transfer.dataset.CastPolygons"),
    _base_.train_pipeline[-1]]
train_dataloader = dict(
    batch_size=4, num_workers=1, persistent_workers=True,
    sampler=dict(type="DefaultSampler", shuffle=True),
    dataset=dict(type=_dataset, source=_source, pipeline=_train))
val_dataloader = dict(
    batch_size=1, num_workers=0, sampler=dict(type="DefaultSampler", shuffle=False),
    dataset=dict(type=_dataset, source=_source, pipeline=_base_.test_pipeline, test_mode=True))
test_dataloader = val_dataloader

optim_wrapper = dict(
    type="OptimWrapper", optimizer=dict(type="AdamW", lr=1e-3, weight_decay=1e-4),
    clip_grad=dict(max_norm=5.0))
param_scheduler = [
    dict(type="LinearLR", start_factor=0.1, end=2),
    dict(type="PolyLR", power=0.9, eta_min=1e-6, begin=2, end=80)]
train_cfg = dict(type="EpochBasedTrainLoop", max_epochs=80)
default_hooks = dict(logger=dict(interval=50), checkpoint=dict(interval=1000))
log_level = "WARNING"
