"""Strides of feature maps, which may differ in height and width."""

Stride = int | tuple[int, int]  # a pair is of height and width


def sides(stride: Stride) -> tuple[int, int]:
    """A stride as a pair of height and width."""
    return (stride, stride) if isinstance(stride, int) else (stride[0], stride[1])
