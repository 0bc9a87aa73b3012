import pytest

from ledger.prices import Price
from router.settings import ConfigError
from tutelage.replay.prices import listed, of_cheaper, of_teacher

PRICES = {"gpt-4o": Price(2.5e-6, 1e-5), "mini": Price(1e-7, 4e-7)}
TABLE = PRICES.get


def test_a_teachers_price_is_the_tables_unless_one_is_given():
    assert of_teacher("gpt-4o", given=None, table=TABLE) == PRICES["gpt-4o"]
    assert of_teacher("gpt-4o", given=Price(1e-6, 1e-6), table=TABLE) == Price(1e-6, 1e-6)
    assert of_teacher(None, given=Price(0.0, 1e-6), table=TABLE) == Price(0.0, 1e-6)


@pytest.mark.parametrize(
    ("model", "given", "words"),
    [
        ("own", None, "no price for 'own': give --teacher-usd-per-mtok IN,OUT"),
        (None, None, "names no model, .* give --teacher-usd-per-mtok IN,OUT"),
        ("gpt-4o", Price(0.0, 0.0), "leaves nothing to save"),
    ],
)
def test_an_unknown_price_is_an_error_that_says_how_to_give_one(model, given, words):
    with pytest.raises(ConfigError, match=words):
        of_teacher(model, given=given, table=TABLE)


def test_a_cheaper_model_has_to_have_a_price():
    assert of_cheaper(["mini"], table=TABLE) == {"mini": PRICES["mini"]}
    with pytest.raises(ConfigError, match="--cheaper other: LiteLLM knows no price"):
        of_cheaper(["mini", "other"], table=TABLE)


def test_the_table_is_litellms():
    assert listed("openai/gpt-4o-mini") == Price(0.15e-6, 0.6e-6, 0.075e-6)
    assert listed("nobody-knows") is None
