"""Laws of the divergence from recorded tokens and one bucket for the others."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from distill.logit import divergence

SEEDS, SCALES = st.integers(0, 2**32 - 1), st.sampled_from([0.1, 1.0, 10.0, 50.0])
LAW = settings(max_examples=150, deadline=None)
ROUNDING = 5e-5  # float32, of log-probabilities down to some -300


def drawn(seed, *, tokens, vocabulary, scale):
    """Logits of a student and of a teacher, (N, V)."""
    generator = torch.Generator().manual_seed(seed)
    return [scale * torch.randn(tokens, vocabulary, generator=generator) for _ in range(2)]


def top(logits, count):
    """Ids and log-probabilities of the likeliest tokens."""
    logprobs, ids = logits.log_softmax(dim=1).topk(count, dim=1)
    return {"ids": ids, "teacher": logprobs}


def exact(student, teacher):
    """Over the whole vocabulary, in float64."""
    q, p = student.double().log_softmax(dim=1), teacher.double().log_softmax(dim=1)
    return (p.exp() * (p - q)).sum(dim=1).float()


@LAW
@given(seed=SEEDS, vocabulary=st.integers(1, 60), scale=SCALES)
def test_of_all_tokens_it_is_the_exact_divergence(seed, vocabulary, scale):
    student, teacher = drawn(seed, tokens=3, vocabulary=vocabulary, scale=scale)
    found = divergence(student, **top(teacher, vocabulary))
    torch.testing.assert_close(found, exact(student, teacher), rtol=1e-4, atol=ROUNDING)


@LAW
@given(seed=SEEDS, vocabulary=st.integers(2, 60), scale=SCALES, data=st.data())
def test_it_is_never_negative_and_never_more_than_the_exact_one_and_grows_with_what_is_told(
    seed, *, vocabulary, scale, data
):
    student, teacher = drawn(seed, tokens=3, vocabulary=vocabulary, scale=scale)
    fewer, more = sorted(data.draw(st.lists(st.integers(1, vocabulary), min_size=2, max_size=2)))
    one, other = (divergence(student, **top(teacher, count)) for count in (fewer, more))
    slack = ROUNDING + 1e-4 * exact(student, teacher)
    assert (one >= 0.0).all()
    assert (one <= other + slack).all() and (other <= exact(student, teacher) + slack).all()


@LAW
@given(seed=SEEDS, vocabulary=st.integers(1, 60), scale=SCALES, data=st.data())
def test_of_a_student_that_is_its_teacher_it_is_nothing(seed, *, vocabulary, scale, data):
    student, _ = drawn(seed, tokens=3, vocabulary=vocabulary, scale=scale)
    found = divergence(student, **top(student, data.draw(st.integers(1, vocabulary))))
    assert (found <= ROUNDING).all()


@LAW
@given(seed=SEEDS, vocabulary=st.integers(1, 60), scale=SCALES, data=st.data())
def test_its_gradient_is_the_students_less_the_teachers_probability_of_each_bucket(seed, *, vocabulary, scale, data):
    student, teacher = drawn(seed, tokens=3, vocabulary=vocabulary, scale=scale)
    told = top(teacher, data.draw(st.integers(1, vocabulary)))
    student.requires_grad_()
    divergence(student, **told).sum().backward()
    assert student.grad.isfinite().all()
    bucket = student.detach().softmax(dim=1).gather(1, told["ids"]) - told["teacher"].exp()
    torch.testing.assert_close(student.grad.gather(1, told["ids"]), bucket, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(student.grad.sum(dim=1), torch.zeros(3), rtol=0.0, atol=1e-4)


@LAW
@given(seed=SEEDS, digits=st.integers(2, 4))
def test_rounded_numbers_of_which_some_are_missing_give_finite_losses_and_gradients(seed, digits):
    student, teacher = drawn(seed, tokens=3, vocabulary=30, scale=20.0)
    told = top(teacher, 5)
    told["teacher"] = told["teacher"].mul(10**digits).round().div(10**digits)
    told["teacher"][0, 2:] = -torch.inf
    student.requires_grad_()
    found = divergence(student, **told)
    found.sum().backward()
    assert found.isfinite().all() and (found >= 0.0).all() and student.grad.isfinite().all()
