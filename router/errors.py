"""The errors a client can see, each with its HTTP status and OpenAI's type and code.

    GatewayError
    |-- BadRequest            400 invalid_request_error
    |   |-- BodyTooLarge      413
    |   `-- OtherSettings     409: an order of ours that is meant for other settings
    |-- NotAuthenticated      401 invalid_api_key
    |-- UnknownModel          404 model_not_found
    |-- NotFound              404
    |-- CapacityExceeded      429 rate_limit_exceeded: by our settings the teacher has no room now
    |-- UpstreamRefused       the teacher's own 4xx, passed on in its words
    |-- TeacherUnavailable    502 / 503 / 504
    |-- AnswerBrokeOff        502, in a stream: the student's answer ended half-way
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


class OtherSettings(BadRequest):
    """Another part of the product has read other settings than this gateway."""

    status = 409
    code = "other_settings"


class NotAuthenticated(GatewayError):
    """No key, or a wrong one."""

    status = 401
    type = "invalid_request_error"
    code = "invalid_api_key"


class UnknownModel(GatewayError):
    """Neither a task nor a teacher."""

    status = 404
    type = "invalid_request_error"
    code = "model_not_found"


class NotFound(GatewayError):
    """No such URL, or not with this method."""

    status = 404
    type = "invalid_request_error"

    def __init__(self, message: str, *, status: int = 404) -> None:
        super().__init__(message)
        self.status = status


class CapacityExceeded(GatewayError):
    """The teacher may not be asked for more this minute; it was not asked."""

    status = 429
    type = "rate_limit_error"
    code = "rate_limit_exceeded"


class UpstreamRefused(GatewayError):
    """The teacher refused the request itself (4xx): its status and words are passed on."""

    type = "invalid_request_error"

    def __init__(self, message: str, *, status: int, code: str | None, headers: dict[str, str] | None = None) -> None:
        super().__init__(message, headers=headers)
        self.status = status
        self.code = code
        if status == 429:
            self.type = "rate_limit_error"


class TeacherUnavailable(GatewayError):
    """The teacher cannot be reached, is too slow (504), or answered nonsense (502)."""

    status = 502
    code = "teacher_unavailable"

    def __init__(self, message: str, *, status: int = 502) -> None:
        super().__init__(message)
        self.status = status


class AnswerBrokeOff(GatewayError):
    """Part of the student's answer was sent when it ended: nobody can take over any more."""

    status = 502
    code = "answer_broke_off"


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
