"""The settings of distillation: when a run begins, how a student is trained, and what it may cost."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from router.sections import Price, PrivateUrl, Section, Share

Rank = Annotated[int, Field(ge=1, le=256)]
Rate = Annotated[float, Field(gt=0.0, lt=1.0)]
Months = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]


class Variant(Section):
    """Settings of training in the place of those of `distill`; what is not given is as there."""

    rank: Rank | None = None
    learning_rate: Rate | None = None


class DistillSettings(Section):
    """How a student is trained, and how many references are kept back to certify it.

    window_share: the newest share of the traffic since the last certification or alarm becomes the certification
    window, max_references of which are drafted at most; max_rows: of the older rows the newest so many are used;
    fit_share: the newest share of them, never trained on, that the calibrator is fitted on. The worker begins a run
    with min_rows rows before the cut and min_references unused references after it, and another one when new_rows have
    come since the last and no release is in force, more than max_escalation_rate of the requests escalate, or it is
    max_age_days old. pattern: response learns from right answers alone, preference also from wrong ones that are
    recorded beside them, reasoning also from what the teacher thought before it answered, logit also from the
    log-probabilities that it gave (teachers.NAME.record_logprobs), auto from what there is enough of
    (docs/patterns.md). easy_weight: by how much a reference that the student
    has answered may count among rows that teach, which else are mostly those it was unsure of; 1: as any other. start:
    of the adapter, the base model, or the champion's as it is (docs/decisions/0032). Where lessons of the last are
    forgotten the next waits for no new_rows.

    validation_share: of the rows before the cut so many choose the epoch whose adapter is kept, and teach nothing; a
    training of `epochs` ends after the first that is no better. batch_size: rows a step, on all gpus together. rank: of
    the LoRA; learning_rate: 1e-3 is for a base model of some hundred million weights, billions want about 2e-4. seed:
    of what a run draws, among it which rows validate and in which order rows teach.

    unfamiliar_share: a release leaves to the teacher what is less like its lessons than this share of the rows that its
    calibrator was fitted on: it may be sure of what it has never learned; 0: nothing (docs/decisions/0051).

    also_try: other ranks and learning rates. A run trains shortly with each and then with what validates best, which
    stands until there are twice as many rows (docs/decisions/0047).

    gpus: so many of this machine's share each batch of a training, the last of those that are visible; vLLM, where
    `tutelage up` starts it, is on the first. Without any, a training computes on the CPU (docs/decisions/0049).

    ask_again: of the rows whose label is probably wrong, so many at most are put to the teacher again in a run before
    they are left out, the surest first, for ask_again_usd at most; 0, since every answer is paid for: none
    (docs/decisions/0043).

    A run costs training_usd and, for as long as it trains, training_usd_per_hour; a student costs
    upkeep_usd_per_month, whatever it answers (a machine's price). Where the traffic of the last month and the task's
    releases so far say that it will not have saved all within pays_within_months, none is trained; null: what it saves
    is told, and decides nothing (docs/decisions/0023).

    keep_adapters: of each task so many adapters that nothing needs stay on disk, the newest; what is in force or waits,
    what a rollback may go back to and the best release so far stay in any case (docs/decisions/0039).

    gateway_url: where the worker asks, http://HOST:PORT, when the gateway is on another machine (server.admin_port
    there, where it is set); null: the gateway of this one.
    """

    min_rows: Annotated[int, Field(ge=50, le=100_000)] = 1000
    max_rows: Annotated[int, Field(ge=50)] = 20_000
    min_references: Annotated[int, Field(ge=1)] = 600
    max_references: Annotated[int, Field(ge=1)] = 5000
    new_rows: Annotated[int, Field(ge=1)] = 1000
    max_escalation_rate: Share = 0.5
    max_age_days: Annotated[float, Field(gt=0.0, allow_inf_nan=False)] = 21.0
    window_share: Share = 0.4
    fit_share: Share = 0.2
    validation_share: Share = 0.08
    epochs: Annotated[int, Field(ge=1, le=5)] = 2
    rank: Rank = 16
    pattern: Literal["auto", "response", "preference", "reasoning", "logit"] = "response"
    easy_weight: Annotated[float, Field(ge=1.0, allow_inf_nan=False)] = 1.0
    start: Literal["base", "champion"] = "base"
    ask_again: Annotated[int, Field(ge=0, le=10_000)] = 0
    ask_again_usd: Annotated[float, Field(gt=0.0, allow_inf_nan=False)] = 1.0
    learning_rate: Rate = 1e-3
    also_try: Annotated[tuple[Variant, ...], Field(max_length=5)] = ()
    batch_size: Annotated[int, Field(ge=1)] = 8
    gpus: Annotated[int, Field(ge=1)] = 1
    seed: int = 0
    unfamiliar_share: Annotated[float, Field(ge=0.0, le=0.5)] = 0.05
    keep_adapters: Annotated[int, Field(ge=0)] = 3
    gateway_url: PrivateUrl | None = None
    training_usd: Price = 0.0
    training_usd_per_hour: Price = 0.0
    upkeep_usd_per_month: Price = 0.0
    pays_within_months: Months | None = 3.0

    @model_validator(mode="after")
    def _leaves_rows_to_teach(self) -> Self:
        if self.fit_share + self.validation_share > 0.9:
            raise ValueError("fit_share + validation_share leave less than a tenth of the rows to teach: lower them")
        if self.max_rows < self.min_rows:
            raise ValueError(f"max_rows {self.max_rows} is less than min_rows {self.min_rows}: no run would ever begin")
        if self.max_references < self.min_references:
            raise ValueError(
                f"max_references {self.max_references} is less than min_references {self.min_references}: lower that"
            )
        if self.batch_size % self.gpus:
            raise ValueError(
                f"a batch_size of {self.batch_size} is not shared by {self.gpus} gpus in equal parts: take a multiple"
            )
        if len(set(self.variants)) < len(self.variants):
            raise ValueError("two of rank and learning_rate, with those of also_try, are the same: leave one out")
        if self.start == "champion" and len({rank for rank, _ in self.variants}) > 1:
            raise ValueError("start: champion goes on with an adapter of one rank: leave the ranks out of also_try")
        return self

    @property
    def variants(self) -> list[tuple[int, float]]:
        """Ranks and learning rates to train with, what is set first."""
        others = [(each.rank or self.rank, each.learning_rate or self.learning_rate) for each in self.also_try]
        return [(self.rank, self.learning_rate), *others]

    @property
    def highest_rank(self) -> int:
        """That an engine must take."""
        return max(rank for rank, _ in self.variants)
