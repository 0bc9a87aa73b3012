import orjson
from hypothesis import given
from hypothesis import strategies as st

from router.history import BrokenLine, Logged, PassedOver, read_line

WORDS = """messages role content request response choices message usage object body id request_id startTime spend model
created prompt_tokens status chat.completion"""
KEYS = st.sampled_from(WORDS.split())
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | KEYS | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=12,
)


@given(st.dictionaries(KEYS, VALUES, max_size=8))
def test_any_object_is_read_or_refused_with_words(entry):
    try:
        assert isinstance(read_line(orjson.dumps(entry)), Logged)
    except (BrokenLine, PassedOver) as error:
        assert str(error)
