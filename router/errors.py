"""The errors a client can see, each with its HTTP status and OpenAI's type and code.

    GatewayError
    |-- BadRequest            400 invalid_request_error
    |   |-- RequestTooSlow    408: a body that does not arrive
    |   |-- BodyTooLarge      413
    |   |-- WrongContentType  415
    |   |-- HeadTooLarge      431
    |   `-- OtherSettings     409: an order of ours that is meant for other settings
    |-- NotAuthenticated      401 invalid_api_key
    |-- NotAllowed            403: not with this key
    |-- UnknownModel          404 model_not_found
    |-- NotFound              404 unknown_url, 405 method_not_allowed
    |-- CapacityExceeded      429 rate_limit_exceeded: by our settings the teacher has no room now
    |   `-- RateLimited       the key has asked for what it may
    |-- InsufficientQuota     429 insufficient_quota: a budget has no room
    |   `-- BudgetReserved    its room is taken by requests under way, which may cost less
    |-- BudgetUnavailable     503: what may be spent is not known
    |-- UpstreamRefused       the teacher's own 4xx, passed on in its words
    |-- TeacherUnavailable    502 / 503 / 504
    |   `-- TeacherResting    503 with retry-after: it has failed again and again, and was not asked
    |-- AnswerBrokeOff        502, in a stream: the student's answer ended half-way
    |-- ClientLeft            499: recorded, told to nobody
    |-- SpoolFull             503: an answer that cannot be recorded is not given
    `-- InternalError         500

`StudentUnavailable` is not among them: the client never sees it, the teacher answers instead.
"""

from typing import Any


class GatewayError(Exception):
    """Base: what the client is told. `message` never holds a prompt or a secret."""

    status = 500
    type = "server_error"
    code: str | None = None

    def __init__(self, message: str, *, param: str | None = None, headers: dict[str, str] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.headers = headers or {}

    def body(self) -> dict[str, Any]:
        """OpenAI's error body."""
        return {"error": {"message": self.message, "type": self.type, "param": self.param, "code": self.code}}


class BadRequest(GatewayError):
    """The request is malformed: nothing was asked of anybody."""

    status = 400
    type = "invalid_request_error"


class BodyTooLarge(BadRequest):
    """The body is larger than `server.max_body_bytes`."""

    status = 413
    code = "request_too_large"


class WrongContentType(BadRequest):
    """The body says that it is something else than JSON."""

    status = 415
    code = "unsupported_content_type"


class HeadTooLarge(BadRequest):
    """More headers, or a longer URL, than any client sends."""

    status = 431
    code = "request_header_fields_too_large"


class RequestTooSlow(BadRequest):
    """The request did not arrive within `server.request_timeout_s`."""

    status = 408
    code = "request_timeout"


class OtherSettings(BadRequest):
    """Another part of the product has read other settings than this gateway."""

    status = 409
    code = "other_settings"


class NotAuthenticated(GatewayError):
    """No key, or a wrong one."""

    status = 401
    type = "invalid_request_error"
    code = "invalid_api_key"


class NotAllowed(GatewayError):
    """A key of other tasks (model_not_found, as OpenAI calls it) or of a role that may not do this (missing_scope)."""

    status = 403
    type = "invalid_request_error"

    def __init__(self, message: str, *, code: str, param: str | None = None) -> None:
        super().__init__(message, param=param)
        self.code = code


class UnknownModel(GatewayError):
    """Neither a task nor a teacher."""

    status = 404
    type = "invalid_request_error"
    code = "model_not_found"


class NotFound(GatewayError):
    """No such URL, or not with this method."""

    status = 404
    type = "invalid_request_error"

    def __init__(self, message: str, *, status: int = 404, headers: dict[str, str] | None = None) -> None:
        super().__init__(message, headers=headers)
        self.status = status
        self.code = {404: "unknown_url", 405: "method_not_allowed"}.get(status)


class CapacityExceeded(GatewayError):
    """The teacher may not be asked for more this minute; it was not asked."""

    status = 429
    type = "rate_limit_error"
    code = "rate_limit_exceeded"


class RateLimited(CapacityExceeded):
    """A key has asked for as much as it may; nobody was asked."""


class InsufficientQuota(GatewayError):
    """A budget has no room for what the teacher may cost; it was not asked."""

    status = 429
    type = "insufficient_quota"
    code = "insufficient_quota"


class BudgetReserved(InsufficientQuota):
    """What is left of a budget is promised to requests under way; it was not asked, and may be in a second."""


class BudgetUnavailable(GatewayError):
    """What is left of a budget cannot be found out; the teacher was not asked."""

    status = 503
    code = "budget_unavailable"


class UpstreamRefused(GatewayError):
    """The teacher refused the request itself (4xx): its status, words, code and parameter are passed on."""

    type = "invalid_request_error"

    def __init__(
        self,
        message: str,
        *,
        status: int,
        code: str | None,
        param: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message, param=param, headers=headers)
        self.status = status
        self.code = code
        if status == 429:
            self.type = "rate_limit_error"


class TeacherUnavailable(GatewayError):
    """The teacher cannot be reached, is too slow (504), or answered nonsense (502)."""

    status = 502
    code = "teacher_unavailable"

    def __init__(self, message: str, *, status: int = 502, headers: dict[str, str] | None = None) -> None:
        super().__init__(message, headers=headers)
        self.status = status


class TeacherResting(TeacherUnavailable):
    """The teacher's last calls failed, so it is not asked for a moment."""

    status = 503

    def __init__(self, message: str, *, retry_after_s: int) -> None:
        super().__init__(message, status=self.status, headers={"retry-after": str(retry_after_s)})


class AnswerBrokeOff(GatewayError):
    """Part of the student's answer was sent when it ended: nobody can take over any more."""

    status = 502
    code = "answer_broke_off"


class ClientLeft(GatewayError):
    """Nobody waits for the answer any more; what was under way for it is cancelled."""

    status = 499
    code = "client_left"


class SpoolFull(GatewayError):
    """Answers cannot be recorded: refused before the teacher is paid."""

    status = 503
    code = "spool_unavailable"


class InternalError(GatewayError):
    """A defect of ours: logged with its trace, told without detail."""

    status = 500
    code = "internal_error"


class StudentUnavailable(Exception):
    """The student cannot draft this request now: down, slow, adapter not loaded. Ask the teacher."""


class TooLong(StudentUnavailable):
    """Prompt and answer do not fit into the student's context. Ask the teacher."""
