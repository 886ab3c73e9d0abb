"""What `timing` leaves in the workspace: the kept samples and the measurement that follows from them."""

from typing import Literal

from isobench.contracts.base import Contract
from isobench.contracts.record import Arm, Measurement


class Timed(Contract):
    """`timed.json`; ``durations`` are milliseconds per arm, in the order of the blocks."""

    version: Literal[1] = 1
    durations: dict[Arm, list[float]]
    measurement: Measurement | None = None
