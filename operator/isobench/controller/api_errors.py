"""What the API server can answer instead of what was asked, by what the caller does about it."""

from isobench.controller.kinds import Object


class ApiError(Exception):
    """The API server refused; the message is a sentence that names the request and the answer."""

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        """Keep the sentence, and the seconds that the server asked to wait."""
        super().__init__(message)
        self.retry_after = retry_after


class NotFound(ApiError):
    """The object, its namespace or its kind is not there."""


class AlreadyExists(ApiError):
    """An object of that name is there; whether it is ours, only its owner's UID says."""


class Conflict(ApiError):
    """The object changed after it was read: drop the decision, the newer object wakes us."""


class Gone(ApiError):
    """The resource version is too old: list again."""


class Invalid(ApiError):
    """The API server does not take the manifest (400, 413, 422); trying again does not help."""


class Forbidden(ApiError):
    """Not allowed (401, 403): a missing rule, an exceeded quota, a namespace that is being deleted."""


class Unauthorized(Forbidden):
    """The credentials are not taken (401): a rotated token that must be read again."""


class Unavailable(ApiError):
    """Overloaded, restarting or unreachable (429, 5xx, no connection): worth trying again later."""


class Refused(Unavailable):
    """429: not processed, so that even a create may be sent again."""


class NotLeading(Exception):
    """This process does not hold the Lease any more: it must not write, and ends."""


_BY_STATUS: dict[int, type[ApiError]] = {
    400: Invalid,
    401: Unauthorized,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: Gone,
    413: Invalid,
    422: Invalid,
    429: Refused,
}


def error_for(request: str, status: int, answer: Object, retry_after: float | None = None) -> ApiError:
    """The error that an answer with ``status`` and the Status object ``answer`` is."""
    kind = _BY_STATUS.get(status, Unavailable)
    if answer.get("reason") == "AlreadyExists":
        kind = AlreadyExists
    said = answer.get("message") or "no explanation"
    return kind(f"{request}: the API server answered {status}: {said}", retry_after)
