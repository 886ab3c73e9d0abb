"""Why an arm can't be measured: one reason and one sentence that names the thing, the value and the remedy."""

from __future__ import annotations


class ArmFailure(Exception):
    """An arm's run gave no measurement, and the arm ends here.

    `reason` is a name of the reasons contract, `message` one sentence for a person.
    """

    def __init__(self, reason: str, message: str) -> None:
        """Keep the reason beside the sentence."""
        super().__init__(message)
        self.reason = reason
        self.message = message
