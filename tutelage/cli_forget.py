"""`tutelage forget`: exchanges, and what has learned from them."""

from dataclasses import replace
from typing import Annotated

import typer

from router.settings import ConfigError, load
from tutelage.console import CONFIG, Config, known_errors, say


def forget(  # noqa: PLR0917  typer reads options from the signature
    exchange: Annotated[list[str] | None, typer.Option(help="Repeatable; an id as in x-tutelage-exchange-id.")] = None,
    key: Annotated[list[str] | None, typer.Option(help="Repeatable; what was asked with a key, or its line.")] = None,
    user: Annotated[list[str] | None, typer.Option(help="Repeatable; as requests say in user.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; otherwise it is only told what would happen.")] = False,
    config: Config = CONFIG,
) -> None:
    """Take the texts of exchanges out of the ledger, and end the releases that have learned from them.

    Costs, counts and certificates of the past stay. The release before serves again where it holds, and another student
    is trained, by itself, from the rows that remain.
    """
    import time

    from ledger.database import connect
    from ledger.forgetting import Meant
    from tutelage.forgetting import forget_all, in_words, look, retraining

    meant = Meant(tuple(exchange or ()), tuple(key or ()), tuple(user or ()))
    with known_errors():
        if meant == Meant():
            raise ConfigError("say what is to be forgotten: --exchange ID, --key ID or --user NAME")
        settings = load(config)
        engine = connect(settings.ledger.url)
        if redactor := settings.redactor(engine):  # as they are recorded by now
            meant = replace(meant, users=(*meant.users, *map(redactor.text, meant.users)))
        found = forget_all(engine, settings, meant, say=say) if yes else look(engine, settings, meant)
        due = retraining(settings, engine, found, now=time.time()) if yes else []
        for words in (*in_words(found), *due):
            say(words)
    say("forgotten" if yes else "nothing is changed yet: say --yes to do it")
