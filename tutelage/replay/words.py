"""What a replay says, sentence by sentence: the same on the console and on the page."""

import math
from collections.abc import Iterator

from calibration.certificate import Certificate, Refusal
from calibration.words import percent
from ledger.prices import dollars
from router.abilities import Beyond
from tutelage.replay.facts import Replay, Seen
from tutelage.replay.money import BATCH_DISCOUNT, DEARER, RHO, payback_words
from tutelage.report.page import MEASURES

DAY_S = 86_400.0
SHORT_LOG_DAYS = 7
EXAMPLE = 0.5  # of what can be drafted, accepted
BEYOND_WORDS: dict[Beyond, str] = {
    "sampling": "ask for sampling (a temperature above 0)",
    "logit_bias": "ask for a logit bias",
    "choices": "ask for several answers",
    "tools": "hold tools or calls of them",
    "media": "hold images, audio or files",
    "unsupported": "hold what a student does not know",
}


def of_log(facts: Replay) -> Iterator[str]:
    """What was read, and what its numbers stand for."""
    log, counts = facts.log, facts.log.counts
    tasks, requests = len(log.tasks), sum(task.requests for task in log.tasks)
    many = "one task" if tasks == 1 else f"{tasks:,} tasks"
    yield f"{counts.lines:,} lines, {requests:,} requests of {many} (one system message, one model each)."
    yield from (words.strip() + "." for words in counts.left_out())
    if log.span_s is None:
        yield "Lines without times: requests a month, and all that follows from them, are unknown."
    else:
        days = log.span_s / DAY_S
        short = ": too short to say much about a month" if days < SHORT_LOG_DAYS else ""
        yield f"The log spans {days:.1f} days{short}; months are reckoned as if it held all traffic of its time."
    if estimated := sum(task.estimated for task in log.tasks):
        yield f"{estimated:,} requests tell no tokens; a quarter of their characters stands for them."
    if hidden := tasks - len(facts.seen):
        yield (
            f"{hidden:,} smaller tasks are not shown. Many tasks that differ in a date or a name are one: their system "
            "messages would have to be made the same."
        )


def of_chosen(facts: Replay) -> Iterator[str]:
    """The task that is looked at, and who answers it today."""
    task = facts.chosen.task
    whole = task.requests / sum(each.requests for each in facts.log.tasks)
    yield (
        f"Looked at: task {facts.chosen.number}, {task.name}, answered by {task.model or 'an unnamed model'}: "
        f"{task.requests:,} requests, {whole:.0%} of the log."
    )
    for reason, count in sorted(task.beyond.items()):
        yield f"{count:,} of them {BEYOND_WORDS[reason]}: no student is asked these, and they stay with the teacher."


def of_student(facts: Replay) -> Iterator[str]:
    """How the student was made and what was seen of it; or why there is none."""
    if facts.why_not:
        yield facts.why_not[0].upper() + facts.why_not[1:] + "."
    if facts.judged is None:
        return
    trial, study = facts.judged.trial, facts.judged.study
    yield (
        f"The older part of the task's newest rows taught a student ({trial.taught:,} rows, {trial.training_s:.0f} s); "
        f"the newer part was drafted by it through vLLM and the gateway ({len(trial.rows):,} rows, "
        f"{trial.drafting_s:.0f} s)."
    )
    if trial.too_long:
        yield f"{trial.too_long:,} of these are longer than its context, and count as the teacher's."
    if study is not None:
        yield (
            f"{study.agreement:.1%} of all its drafts agree with the log's answers ({MEASURES[facts.measure]}); "
            f"{len(study.tested):,} rows were tested, {study.near_duplicates:,} of them near-duplicates that "
            "came in bursts, and those before fitted the score."
        )
        contract = study.outcomes[0][0]
        yield (
            f"A student that disagrees more passes a test with a chance of at most {percent(contract.delta)}; its "
            f"threshold leaves {percent(contract.margin)} of alpha free, as a release's does."
        )


LIMITS = (
    "Each alpha's line holds for whoever had chosen that alpha before reading it; to pick the best line is to look "
    "twice.",
    "The log is not tomorrow's traffic: what is certified here is a share of this log's newer part.",
    "The agreement is with the answers in the log, right or wrong.",
    "A certificate in force comes of a release of its own, on traffic newer than this log: whoever imports the log and "
    "certifies on it has looked at these rows before.",
)


def of_money(facts: Replay) -> Iterator[str]:
    """What the sums hold and what they leave out."""
    prices = facts.prices
    student = "as it was measured" if facts.judged else "as if it needed the teacher's tokens"
    yield (
        f"A student's way: a draft for every request that it can be asked ({dollars(facts.costs.draft_usd)} each, "
        f"{student}), the teacher for what is not accepted, and for {RHO:.0%} of what is, as references."
    )
    yield (
        f"A hosted model is taken to need as many tokens as the teacher; batches are {BATCH_DISCOUNT:.0%} off and may "
        "take a day. Discounts for cached prompts are in no price."
    )
    if facts.judged:
        yield (
            f"Training and drafting took {facts.judged.trial.seconds:.0f} s of this machine: "
            f"{dollars(facts.training_usd)} at {dollars(prices.machine_usd_per_hour)} an hour. Students are made again "
            "when traffic changes, at that price each time."
        )


def payback_question(facts: Replay) -> str:
    """How soon an hour of training would be paid back, at a share that stands for an unknown one."""
    costs, usd = facts.costs, facts.prices.machine_usd_per_hour
    saved = costs.teacher_usd - costs.with_student(EXAMPLE)
    when = f"after {math.ceil(usd / saved):,} requests" if saved > 0 else DEARER
    return (
        f"An hour of training on this machine ({dollars(usd)}) would be paid back {when}, if half of what can be "
        "drafted were accepted."
    )


def break_even(facts: Replay) -> Iterator[str]:
    """What share a student would have to take, as a question to whoever knows the task."""
    for way, share in facts.break_even:
        if share is None:
            yield f"Against {way.name} ({dollars(way.usd_a_million)} a million requests) no share would pay."
        else:
            yield (
                f"Against {way.name} ({dollars(way.usd_a_million)} a million requests) a student pays that takes more "
                f"than {share:.1%} of all requests: is that likely?"
            )
    if facts.judged is None:
        yield payback_question(facts)


def why_not(refusal: Refusal) -> str:
    """Why there is no certificate, and how many rows behind the fit rows would do."""
    return f"{refusal.reason}; about {refusal.rows_needed} would do" if refusal.rows_needed else refusal.reason


TASK_HEADS = ("", "task", "answered by", "requests", "a month", "tokens a request", "teacher a month")


def row_of_task(seen: Seen) -> list[str]:
    """A line of the table of tasks, under `TASK_HEADS`."""
    task = seen.task
    return [
        str(seen.number),
        task.name,
        task.model or "unnamed",
        f"{task.requests:,}",
        "unknown" if task.monthly is None else f"{task.monthly:,.0f}",
        f"{'~' if task.estimated else ''}{task.prompt_tokens:,.0f} + {task.answer_tokens:,.0f}",
        "unknown" if seen.usd_a_month is None else dollars(seen.usd_a_month),
    ]


NARROW_HEADS = ("", "looks", "distinct answers", "ten commonest", "near-duplicates", "median answer, characters")


def row_of_narrowness(seen: Seen) -> list[str]:
    """A line of the table of how narrow the tasks look, under `NARROW_HEADS`."""
    narrow = seen.narrowness
    return [
        str(seen.number),
        narrow.verdict,
        f"{narrow.distinct:,} of {narrow.rows:,}",
        f"{narrow.commonest_share:.0%}",
        f"{narrow.duplicate_share:.0%}",
        f"{narrow.answer_characters:,.0f}",
    ]


WAY_HEADS = ("way", "student answers", "a million requests", "a month", "saved", "paid back, or what to know")


def rows_of_ways(facts: Replay) -> Iterator[list[str]]:
    """Lines of the table of money, under `WAY_HEADS`."""
    requests, teacher = facts.chosen.task.monthly, facts.costs.teacher_usd
    for way in facts.ways:
        yield [
            way.name,
            "" if way.taken is None else f"{way.taken:.1%}",
            dollars(way.usd_a_million),
            "unknown" if requests is None else dollars(requests * way.usd),
            f"{1.0 - way.usd / teacher:.0%}",
            way.note or payback_words(way, monthly=requests),
        ]


STUDY_HEADS = ("at most this share differs", "student answers", "disagree", "or why not")


def rows_of_study(facts: Replay) -> Iterator[list[str]]:
    """Lines of the table of contracts, under `STUDY_HEADS`; the share is of all requests of the task."""
    study = facts.judged.study if facts.judged else None
    for contract, outcome in study.outcomes if study else ():
        if isinstance(outcome, Certificate):
            held = [f"{facts.draftable * outcome.coverage:.1%}", f"{outcome.errors} of {outcome.accepted}", ""]
        else:
            held = ["none", "", why_not(outcome)]
        yield [percent(contract.alpha), *held]
