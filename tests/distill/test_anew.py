from distill.anew import Anew

RECORDED = [{"role": "system", "content": "Old."}, {"role": "user", "content": "hello"}]


def test_the_prompt_of_now_takes_the_place_of_the_recorded_one():
    assert Anew("New.").messages(RECORDED) == [{"role": "system", "content": "New."}, RECORDED[1]]
    assert Anew("New.").messages(RECORDED[1:]) == [{"role": "system", "content": "New."}, RECORDED[1]]
    assert Anew(None).messages(RECORDED) == RECORDED


def test_what_is_recorded_is_not_changed():
    Anew("New.").messages(RECORDED)[1]["content"] = "altered"
    assert RECORDED[1]["content"] == "hello"
