"""From a release to its rows, whatever the name under which its adapter was made."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger import lineage
from ledger.database import connect
from ledger.lineage import UsedRow
from ledger.queries import Use, record_uses, rows_that_taught
from ledger.releases import TAUGHT, add_candidate, set_adapter

MADE = [Use("a", "train"), Use("b", "train", reason="before"), Use("c", "validate"), Use("d", "reject", reason="long")]
FIT = [Use("e", "fit")]


@pytest.fixture
def engine(tmp_path):
    return connect(f"sqlite:///{tmp_path}/ledger.db")


def release(engine, digest: str, *uses: Use) -> str:
    name = add_candidate(engine, task="desk", cut_at=1.0, base_model="base", now=2.0).name
    record_uses(engine, release=name, uses=uses)
    if digest:
        set_adapter(engine, name, path=f"/{name}", digest=digest)
    return name


def used(engine, name: str) -> list[Use]:
    return [Use(row.exchange_id, row.use, reason=row.reason) for row in lineage.rows(engine, name)]


def by_use(uses: list[Use]) -> list[Use]:
    return sorted(uses, key=lambda use: (use.use, use.exchange_id))


def test_an_adapter_under_another_name_was_made_of_the_same_rows_and_judged_on_its_own(engine):
    release(engine, "x", *MADE, *FIT)
    for row in ("g", "h"):  # the second one is certified from the first, the third from the second
        again = release(engine, "x", Use("d", "fit"), Use(row, "certify"))
        assert used(engine, again) == by_use([*MADE, Use("d", "fit"), Use(row, "certify")])
        assert lineage.counts(engine, again)["train", "before"] == lineage.counts(engine, again)["reject", "long"] == 1


def test_rows_that_made_the_same_adapter_twice_are_told_once(engine):
    release(engine, "x", *MADE, *FIT)  # its engine was away when it was trained
    second = release(engine, "x", *MADE, *FIT)
    assert used(engine, second) == by_use([*MADE, *FIT])
    assert sum(lineage.counts(engine, second).values()) == len(MADE) + len(FIT)


def test_releases_without_an_adapter_share_nothing(engine):
    release(engine, "", *MADE)
    assert used(engine, release(engine, "", *FIT)) == FIT
    assert list(lineage.rows(engine, "nobody")) == [] and lineage.counts(engine, "nobody") == {}


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from("xyz"),
            st.dictionaries(st.sampled_from("abcdef"), st.sampled_from(("train", "validate", "fit", "reject"))),
        ),
        min_size=1,
        max_size=5,
    )
)
def test_what_taught_a_release_is_what_its_adapter_is_forgotten_for(tmp_path_factory, made):
    engine = connect(f"sqlite:///{tmp_path_factory.mktemp('ledger')}/ledger.db")
    names = {release(engine, digest, *(Use(row, use) for row, use in uses.items())): digest for digest, uses in made}
    for name, digest in names.items():
        found = list(lineage.rows(engine, name))
        assert {row.exchange_id for row in found if row.use in TAUGHT} == rows_that_taught(engine, digest)
        assert sum(lineage.counts(engine, name).values()) == len(found) == len(set(found))
        assert all(isinstance(row, UsedRow) for row in found)
