import pytest

from calibration.words import percent


@pytest.mark.parametrize(
    ("share", "words"),
    [
        (0.05, "5%"),
        (0.025, "2.5%"),
        (0.005, "0.5%"),
        (0.0016, "0.16%"),
        (0.07, "7%"),
        (0.9995, "99.95%"),
        (1.0, "100%"),
    ],
)
def test_a_share_is_said_as_it_was_set(share, words):
    assert percent(share) == words
