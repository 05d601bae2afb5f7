# DBNet with a neck of 64 channels, for backbones of width 16, on 100 images and 2 CPU cores.
# Crops hold legible words at 1 to 2 times their size: small words leave DBNet's plateau late.
# python tools/finetune.py THIS --weights FILE --train FOLDER_OR_ZIP --test FOLDER_OR_ZIP
_base_ = [
    "mmocr::textdet/dbnet/_base_dbnet_resnet18_fpnc.py",
    "mmocr::textdet/_base_/default_runtime.py"]
model = dict(neck=dict(lateral_channels=64, out_channels=16), det_head=dict(in_channels=64))
_source = dict(type="ocrpretrain.data.Folder", path="data/icdar2015")
_dataset = "ocrpretrain.transfer.dataset.SourceDataset"
_crop = dict(type="ocrpretrain.transfer.transforms.WordCrop", target_size=(320, 320))
_train = [
    *_base_.train_pipeline[:2], dict(_crop, positive_sample_ratio=0.9), _base_.train_pipeline[2],
    dict(
        type="ImgAugWrapper",
        args=[["Fliplr", 0.5], dict(cls="Affine", rotate=[-10, 10]), ["Resize", [1.0, 2.0]]]),
    dict(_crop, positive_sample_ratio=0.9),
    _base_.train_pipeline[-1]]
_test = [
    _base_.test_pipeline[0], dict(type="Resize", scale=(1820, 1024), keep_ratio=True),
    *_base_.test_pipeline[2:]]
train_dataloader = dict(
    batch_size=4, num_workers=1, persistent_workers=True,
    sampler=dict(type="DefaultSampler", shuffle=True),
    dataset=dict(type=_dataset, source=_source, pipeline=_train))
val_dataloader = dict(
    batch_size=1, num_workers=0, sampler=dict(type="DefaultSampler", shuffle=False),
    dataset=dict(type=_dataset, source=_source, pipeline=_test, test_mode=True))
test_dataloader = val_dataloader

optim_wrapper = dict(
    type="OptimWrapper", optimizer=dict(type="AdamW", lr=1e-3, weight_decay=1e-4),
    clip_grad=dict(max_norm=5.0))
param_scheduler = [
    dict(type="LinearLR", start_factor=0.1, end=2),
    dict(type="PolyLR", power=0.9, eta_min=1e-6, begin=2, end=240)]
train_cfg = dict(type="EpochBasedTrainLoop", max_epochs=240)
default_hooks = dict(logger=dict(interval=50), checkpoint=dict(interval=20, max_keep_ckpts=2))
log_level = "WARNING"
