"""Aliases: made, ended, and never two of the same."""

import pytest

from ledger.aliases import AliasRefused, add, end, in_force, version
from ledger.database import connect


@pytest.fixture
def engine(tmp_path):
    return connect(f"sqlite:///{tmp_path}/ledger.db")


def test_an_alias_comes_back_as_it_was_made_until_it_ends(engine):
    name = add(engine, kind="model", value="support", task="desk", now=1.0)
    text = add(engine, kind="prompt", value="Name the topic \u2713\n" * 900, task="desk", now=2.0)
    assert in_force(engine) == [name, text]
    end(engine, name.id, now=3.0)
    assert in_force(engine) == [text]


def test_what_belongs_to_a_task_already_is_refused_until_that_ends(engine):
    made = add(engine, kind="model", value="support", task="desk", now=1.0)
    with pytest.raises(AliasRefused, match=f"{made.id} makes it desk's already"):
        add(engine, kind="model", value="support", task="till", now=2.0)
    add(engine, kind="prompt", value="support", task="till", now=2.0)  # a text, not a name
    end(engine, made.id, now=3.0)
    assert add(engine, kind="model", value="support", task="till", now=4.0).task == "till"


def test_one_that_is_not_in_force_cannot_be_ended(engine):
    made = add(engine, kind="model", value="support", task="desk", now=1.0)
    end(engine, made.id, now=2.0)
    for unknown in (made.id, "alias-0"):
        with pytest.raises(AliasRefused, match="alias list"):
            end(engine, unknown, now=3.0)


def test_every_change_makes_another_version(engine):
    seen = [version(engine)]
    made = add(engine, kind="model", value="support", task="desk", now=100.0)
    seen.append(version(engine))
    end(engine, made.id, now=50.0)  # by a clock that was set back
    seen.append(version(engine))
    add(engine, kind="model", value="support", task="desk", now=20.0)
    seen.append(version(engine))
    assert len(set(seen)) == 4
