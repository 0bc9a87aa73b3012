"""The settings of the canary: how a release that is certified is tried before it serves all."""

from typing import Annotated

from pydantic import Field

from router.sections import Section, Share


class CanarySettings(Section):
    """How a certified release is tried on live conversations, beside the champion or else the teacher.

    share: of the conversations, each as a whole, that the release under trial answers; 1: it is promoted at once, and
    neither errors nor latency decide anything, before or after. It is promoted once min_requests have asked it for a
    draft, or those that have come within max_hours, speak against it no more than chance explains; it is rolled back as
    soon as more than max_errors of its drafts fail and more than the champion's, or its answers take at the 95th
    percentile more than max_slowdown times as long as the champion's, or without one the teacher's (null: as long as
    they like). For max_hours after its promotion a champion is held to the same. Of releases that are no worse one in a
    hundred is rolled back at most.
    """

    share: Annotated[float, Field(gt=0.0, le=1.0)] = 0.1
    min_requests: Annotated[int, Field(ge=10)] = 200
    max_hours: Annotated[float, Field(gt=0.0, allow_inf_nan=False)] = 24.0
    max_errors: Share = 0.02
    max_slowdown: Annotated[float, Field(ge=1.0, allow_inf_nan=False)] | None = 1.5
