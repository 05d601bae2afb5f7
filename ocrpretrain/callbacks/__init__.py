"""Lightning callbacks of a pretraining: its record and cost, random states, pictures."""

from ocrpretrain.callbacks.cost import Cost, StepClock
from ocrpretrain.callbacks.pictures import SamplePicture
from ocrpretrain.callbacks.record import RunRecord
from ocrpretrain.callbacks.state import RandomState, UntilEnd, WithinEpoch

__all__ = [
    "Cost",
    "RandomState",
    "RunRecord",
    "SamplePicture",
    "StepClock",
    "UntilEnd",
    "WithinEpoch",
]
