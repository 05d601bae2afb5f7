"""Transfer into MMOCR: the only part that imports mmocr, mmdet and mmcv.

Importing it lets them run on current packages, before any of its modules imports one of them.
"""

from ocrpretrain.transfer import compat

compat.install()
