"""Agreement: does the draft equal the teacher's answer under the task's measure? d = 1 - agreement."""

import re
import unicodedata

QUOTES = "\"'`\u2018\u2019\u201c\u201d"


def disagreement(student: str | None, teacher: str | None) -> float:
    """d in {0, 1} under the measure `exact`. A missing answer, the teacher's too, counts as a disagreement."""
    if student is None or teacher is None:
        return 1.0
    return 0.0 if normalised(student) == normalised(teacher) else 1.0


def normalised(text: str) -> str:
    """Compatibility form, case folded, white space collapsed, without quotes around it or a full stop behind it."""
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    text = re.sub(r"\s+", " ", text).strip()
    while (bare := text.strip(QUOTES).rstrip(".").strip()) != text:
        text = bare
    return text
