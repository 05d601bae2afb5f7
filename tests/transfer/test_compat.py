"""MMOCR 1.0.1 imports and works on current packages; missing operators say so at the call."""

from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from conftest import assert_close, golden

from ocrpretrain.transfer import compat

pytestmark = pytest.mark.mmocr
compat.install()


def test_calling_it_twice_changes_nothing():
    before = (len(sys.meta_path), sys.modules["mmcv._ext"], np.sctypes)
    compat.install()
    assert (len(sys.meta_path), sys.modules["mmcv._ext"], np.sctypes) == before


def test_mmocr_imports():
    import mmocr.datasets
    import mmocr.models  # noqa: F401


def test_a_missing_operator_raises_with_its_name_at_the_call():
    from mmcv.ops import pixel_group

    zeros = np.zeros((4, 4), np.float32)
    with pytest.raises(NotImplementedError, match="pixel_group"):
        pixel_group(zeros, zeros > 0, zeros[..., None], zeros.astype(np.int32), zeros, 2, 0.5)


def test_a_compiled_mmcv_is_left_alone(monkeypatch):
    real = object()
    monkeypatch.setitem(sys.modules, "mmcv._ext", real)
    compat.install()
    assert sys.modules["mmcv._ext"] is real


def test_package_look_ups_without_pkg_resources():
    from mmengine.utils import get_installed_path, is_installed

    assert is_installed("mmocr") and not is_installed("no-such-package-at-all")
    assert get_installed_path("mmocr").endswith("mmocr")


@pytest.mark.golden
def test_nms_equals_the_compiled_kernel():
    from mmcv.ops import nms

    tensors, info = golden("mmcv_ops")
    cases = info["cases"]["nms"]
    assert len(cases) > 20
    for case, entry in cases.items():
        args = dict(entry["args"])
        name = args.pop("boxes")
        boxes, scores = (tensors[f"input/{kind}/{name}"] for kind in ("boxes", "scores"))
        dets, indices = nms(boxes, scores, **args)
        assert indices.tolist() == tensors[f"output/nms/{case}/inds"].tolist(), case
        assert torch.equal(dets, tensors[f"output/nms/{case}/dets"]), case


@pytest.mark.golden
def test_modulated_deformable_convolution_equals_the_compiled_kernel():
    from mmcv.ops import modulated_deform_conv2d

    tensors, info = golden("mmcv_ops")
    cases = info["cases"]["modulated_deform_conv2d"]
    assert len(cases) >= 6
    for case, entry in cases.items():
        args = entry["args"]
        names = ["x", "offset", "mask", "weight"] + ["bias"] * args["bias"]
        leaves = {name: tensors[f"input/deform/{case}/{name}"].requires_grad_() for name in names}
        bias = leaves.get("bias")
        order = ("stride", "padding", "dilation", "groups", "deform_groups")
        tensors_in = [leaves[name] for name in names[:4]]
        out = modulated_deform_conv2d(*tensors_in, bias, *(args[key] for key in order))
        prefix = f"output/modulated_deform_conv2d/{case}"
        assert_close(out, tensors[f"{prefix}/out"], 1e-6, case)
        direction = tensors[f"input/deform/{case}/grad_output"]
        gradients = torch.autograd.grad(out, list(leaves.values()), direction)
        for name, gradient in zip(leaves, gradients, strict=True):
            assert_close(gradient, tensors[f"{prefix}/grad_{name}"], 1e-6, f"{case} {name}")
