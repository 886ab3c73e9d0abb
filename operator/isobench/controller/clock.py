"""What time it is: an argument everywhere; on a cluster it is the API server's, whatever this machine's clock says."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

Clock = Callable[[], datetime]

_TOLERATED = timedelta(seconds=5)
_BETWEEN_LOOKS = timedelta(seconds=10)


def utc_now() -> datetime:
    """The time in UTC, by this machine."""
    return datetime.now(UTC)


class ServerClock:
    """This machine's clock, corrected by what the API server's answers say when they differ by seconds."""

    def __init__(self, local: Clock = utc_now) -> None:
        """Trust ``local`` until the API server says otherwise."""
        self._local = local
        self._skew = timedelta(0)
        self._looked_at: datetime | None = None

    def __call__(self) -> datetime:
        """The time."""
        return self._local() + self._skew

    def heard(self, date: str) -> None:
        """The API server wrote ``date`` (RFC 9110) into the answer that has just arrived."""
        now = self._local()
        if self._looked_at is not None and abs(now - self._looked_at) < _BETWEEN_LOOKS:
            return
        self._looked_at = now
        skew = parsedate_to_datetime(date) - now
        self._skew = skew if abs(skew) > _TOLERATED else timedelta(0)
