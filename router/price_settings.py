"""The settings of a price: of a teacher's tokens, or of the student's."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from ledger import prices
from router.sections import Price, Section

MILLION = 1e6
KINDS = {name: name.replace("_token", "_mtok").replace("cached_", "cached_input_") for name in prices.KINDS}


class TokenPrice(Section):
    """US dollars per million tokens. Of kinds that have a price of their own; null: they cost what the others do. Of a
    prompt: cached_input (its provider has read them before and still knows them), cache_write (it keeps them, to read
    them again), audio_input; of an answer: audio_output, reasoning. above: for prompts of more than so many tokens the
    price of every token of the request, in place of the others.
    """

    input_usd_per_mtok: Price
    output_usd_per_mtok: Price
    cached_input_usd_per_mtok: Price | None = None
    cache_write_usd_per_mtok: Price | None = None
    audio_input_usd_per_mtok: Price | None = None
    audio_output_usd_per_mtok: Price | None = None
    reasoning_usd_per_mtok: Price | None = None
    above: dict[Annotated[int, Field(ge=1)], "TokenPrice"] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _above_is_one_level(self) -> Self:
        if any(each.above for each in self.above.values()):
            raise ValueError("above stands inside above: name all lengths of prompts side by side")
        return self

    @property
    def per_token(self) -> prices.Price:
        """As the ledger counts it."""
        usd = {ours: value / MILLION for ours, name in KINDS.items() if (value := getattr(self, name)) is not None}
        return prices.Price(**usd, above=tuple((tokens, self.above[tokens].per_token) for tokens in sorted(self.above)))
