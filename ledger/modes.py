"""How a student decodes a request, read from its recorded parameters.

A grammar's mask changes how sure a student looks, so a release answers in those modes alone that it was certified in
(docs/decisions/0015). A mode is a word without spaces.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

FREE = "free"
LEAST_SHARE = 0.05  # of a window: what is rarer there has hardly been looked at


def decoding_mode(params: Mapping[str, Any]) -> str:
    """`free`, `json_object`, or `json_schema:` with a digest of the schema; `+tools` where there are tools that may not
    be called: the teacher reads them and the student does not."""
    wanted = params.get("response_format") or {}
    kind = str(wanted.get("type", "text"))
    if kind == "json_schema":
        schema = json.dumps(wanted["json_schema"]["schema"], sort_keys=True)
        kind = f"json_schema:{hashlib.sha256(schema.encode()).hexdigest()[:16]}"
    return (FREE if kind == "text" else kind) + ("+tools" if params.get("tools") else "")


def certifiable(params: Sequence[Mapping[str, Any]]) -> frozenset[str]:
    """The modes that a release may be certified in on a window of these requests: each has its part of it."""
    counts = Counter(map(decoding_mode, params))
    return frozenset(mode for mode, count in counts.items() if count >= LEAST_SHARE * len(params))
