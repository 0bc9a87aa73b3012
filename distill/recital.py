"""How an adapter goes on from one fixed text: noted once it was probed, and compared wherever it is loaded again.

vLLM answers 200 to an adapter that it does not apply, and serves the base model under its name; an engine may also hold
another base model, or read another folder than the one that was verified here. So wherever an adapter in force is
loaded, it goes on from the text's beginnings before anybody can ask for it: within tolerance of what it said when
transformers + peft vouched for it (`probe`), and far from what that engine's base model says. A token for each, which
is its warm-up too; without torch, in the gateway's image as well.
"""

import json
import math
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from distill.adapters import AdapterError, AdapterServer, EngineDown
from distill.fleet import on_each

NOTED = "recital.json"  # in the adapter's folder
MESSAGES = (  # of nobody: words, numbers, fields, in turns that every chat template takes
    {"role": "user", "content": "Order 4711 arrived broken on Monday. Tell me what to do, and how long it takes."},
    {"role": "assistant", "content": 'Yes. 1. Send it back: {"status": "refund"}.'},
    {"role": "user", "content": "No, thanks. What is the total of 12 and 30, and is that more than half of 80?"},
)
UNNOTED = MESSAGES[0]["content"]
# Nats, of a token's mean distance: 0.1 on uncertain tokens and up to 0.2 is what the two engines' kernels differ by.
TOLERANCE = 0.25
APART = 0.1  # nats from the base model, where nothing was noted; one that is not applied is as far as kernels differ
PLACES = 16  # of the text, from each of which it goes on

Said = list[tuple[str, float]]  # the likeliest token of each place, and its log-probability
Checked = set[tuple[str, str]]  # addresses of engines, and what each was heard to serve under which name


def apart(to_adapter: float, to_base: float) -> str | None:
    """None where an adapter is served; otherwise what is wrong, in words. Distances in nats a token."""
    if not to_adapter <= TOLERANCE:  # so that NaN is no pass
        return (
            f"its log-probabilities are {to_adapter:.2f} nats from the adapter's (at most {TOLERANCE}), and "
            f"{to_base:.2f} from the base model's: is the adapter applied, and to this base model?"
        )
    if not to_adapter < to_base / 2:
        return f"it cannot be told from the base model ({to_base:.2f} nats from it): is the adapter applied?"
    return None


def note(server: AdapterServer, name: str, folder: Path, *, tokens: Sequence[int]) -> None:
    """Keep how the adapter goes on from these tokens, in its folder. Raises AdapterError where an engine says otherwise
    than the first."""
    engines = server.engines()
    said = _likeliest(engines[0].next_tokens(name, beginnings(tokens)))
    (folder / NOTED).write_text(json.dumps({"tokens": list(tokens), "said": said}))
    on_each(engines, lambda engine: _hear(engine, name, folder))


def beginnings(text: str | Sequence[int]) -> list[str] | list[list[int]]:
    """Of a text, `PLACES` at most, the whole of it last."""
    lengths = sorted({max(1, round(len(text) * place / PLACES)) for place in range(1, PLACES + 1)})
    return [text[:n] for n in lengths] if isinstance(text, str) else [list(text[:n]) for n in lengths]


def _likeliest(told: Sequence[Mapping[str, float]]) -> Said:
    return [max(place.items(), key=lambda token: token[1]) for place in told]


def load_heard(
    server: AdapterServer, name: str, folder: Path, *, checked: Checked | None = None, patience_s: float = 0.0
) -> None:
    """Load a folder under a name on every engine, where it recites as it did: on the others the name is unknown after
    this, so that whoever asks for it there is answered by nobody.

    `checked`: what this process has heard already, which it is not asked again. The patience is for the first engine to
    answer. Raises AdapterError with the engines that failed, EngineDown.
    """
    heard: Checked = set() if checked is None else checked
    server.await_one(patience_s)
    on_each(server.engines(), lambda engine: _load(engine, name, folder, heard=heard))


def _load(engine: AdapterServer, name: str, folder: Path, *, heard: Checked) -> None:
    known = (engine.url, name)
    if not engine.serves(name, folder):  # it was started again, or has just come
        heard.discard(known)
        _audition(engine, name, folder)
        engine.load(name, folder)
    elif known not in heard:
        try:
            _hear(engine, name, folder)
        except EngineDown:
            raise
        except AdapterError:
            engine.unload(name)
            raise
    heard.add(known)


def _audition(engine: AdapterServer, name: str, folder: Path) -> None:
    """Under a name that no gateway knows: from the first moment on, what has its own name is what was certified."""
    unknown = f"{name}--heard-{uuid.uuid4().hex[:8]}"
    engine.load(unknown, folder)
    try:
        _hear(engine, unknown, folder)
    finally:
        with suppress(AdapterError):
            engine.unload(unknown)


def _hear(engine: AdapterServer, name: str, folder: Path) -> None:
    text, noted = _noted(folder)
    now, base = (engine.next_tokens(each, beginnings(text)) for each in (name, engine.base()))
    if noted is None:
        words = None if distance(_likeliest(now), base) > APART else apart(0.0, 0.0)
    elif len(noted) != len(now):
        words = f"it goes on from {len(now)} places where {len(noted)} were noted"
    else:
        words = apart(distance(noted, now), distance(noted, base))
    if words:
        raise AdapterError(f"{folder.name} as vLLM at {engine.url} serves it is not {folder}: {words}")


def _noted(folder: Path) -> tuple[str | list[int], Said | None]:
    """The text, and what was said of it: of an adapter from before there was a note nothing is known."""
    try:
        found = json.loads((folder / NOTED).read_text())
        return [int(token) for token in found["tokens"]], [(str(token), float(value)) for token, value in found["said"]]
    except FileNotFoundError:
        return UNNOTED, None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise AdapterError(f"adapter {folder}: {NOTED} cannot be read: {error}") from error


def distance(said: Said, told: Sequence[Mapping[str, float]]) -> float:
    """Mean absolute difference a place, nats, of the log-probabilities of the tokens that were said; of one that is not
    among those told, it is at least so much. NaN where nothing was said."""
    if not said:
        return math.nan
    found = zip(said, told, strict=True)
    return sum(abs(value - place.get(token, min(place.values()))) for (token, value), place in found) / len(said)
