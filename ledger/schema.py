"""The tables. Migrations in `migrations/` create exactly these; a test compares the two.

Exchange payloads that are read as a whole (messages, evidence) are JSON; whatever a query filters or sums on is a
column of its own. Times are seconds since the epoch, money is US dollars.
"""

import sqlalchemy as sa


class Whole(sa.TypeDecorator[str]):
    """A text as every database takes it: PostgreSQL has no NUL in one, and would refuse the record."""

    impl = sa.Text
    cache_ok = True

    def process_bind_param(self, value: str | None, _: sa.Dialect) -> str | None:
        """Of what is written and compared."""
        return value if value is None else value.replace("\0", "\ufffd")


class Named(sa.TypeDecorator[str]):
    """What others have named, clients and providers: its beginning, where PostgreSQL would refuse it for its length."""

    impl = sa.String
    cache_ok = True

    def __init__(self, length: int) -> None:
        super().__init__(length)
        self.length = length

    def process_bind_param(self, value: str | None, _: sa.Dialect) -> str | None:
        """Of what is written and compared."""
        return value if value is None else value.replace("\0", "\ufffd")[: self.length]


metadata = sa.MetaData()
JSON = sa.JSON(none_as_null=True)  # a missing value is NULL, which a query can ask for, and not the JSON text "null"

exchanges = sa.Table(
    "exchanges",
    metadata,
    sa.Column("id", sa.String(40), primary_key=True),
    # In the order in which they were recorded: a request is recorded when its reply ends, a slow one after quick ones
    # that arrived behind it, and a clock may be set back. Whoever follows a release goes on behind the last number.
    sa.Column("seq", sa.BigInteger, nullable=False),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("task", sa.String(64)),
    sa.Column("origin", sa.String(16), nullable=False),
    sa.Column("model", Named(128), nullable=False),
    sa.Column("messages", JSON, nullable=False),
    sa.Column("params", JSON, nullable=False),
    sa.Column("prompt_fingerprint", sa.String(64), nullable=False),
    sa.Column("route", sa.String(16), nullable=False),
    sa.Column("reason", sa.String(64), nullable=False),
    sa.Column("status", sa.Integer, nullable=False),
    sa.Column("eligible", sa.Boolean, nullable=False),
    sa.Column("reference", sa.Boolean, nullable=False),
    sa.Column("rho", sa.Float),
    sa.Column("release", sa.String(96)),
    sa.Column("draft_text", Whole),
    sa.Column("draft_finish_reason", Named(32)),
    sa.Column("draft_prompt_tokens", sa.Integer),
    sa.Column("draft_completion_tokens", sa.Integer),
    sa.Column("draft_cost_usd", sa.Float),
    sa.Column("evidence", JSON),
    sa.Column("score", sa.Float),
    sa.Column("threshold", sa.Float),
    sa.Column("answer", Whole),
    sa.Column("stream", sa.Boolean, nullable=False),
    sa.Column("latency_s", sa.Float, nullable=False),
    sa.Column("first_byte_s", sa.Float),
    sa.Column("key", sa.String(24)),  # the public id of the key that asked
    sa.Column("teaches", sa.Boolean, nullable=False, server_default=sa.true()),
    sa.Index("exchanges_by_task", "task", "at"),
    sa.Index("exchanges_by_seq", "seq", unique=True),
    sa.Index("exchanges_by_release", "release", "seq"),
)

teacher_replies = sa.Table(
    # One per exchange that the teacher answered, in the request or in the background.
    "teacher_replies",
    metadata,
    sa.Column("exchange_id", sa.String(40), primary_key=True),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("background", sa.Boolean, nullable=False),
    sa.Column("teacher", sa.String(128), nullable=False),
    sa.Column("text", Whole),
    sa.Column("finish_reason", Named(32)),
    sa.Column("prompt_tokens", sa.Integer, nullable=False),
    sa.Column("cached_tokens", sa.Integer, nullable=False, server_default="0"),  # of the prompt's
    sa.Column("completion_tokens", sa.Integer, nullable=False),
    sa.Column("cost_usd", sa.Float, nullable=False),
    sa.Column("latency_s", sa.Float, nullable=False),
    sa.Column("error", Whole),
    *(
        sa.Column(name, sa.Integer, nullable=False, server_default="0")
        for name in ("cache_write_tokens", "audio_prompt_tokens", "audio_completion_tokens", "reasoning_tokens")
    ),
    sa.Column("rationale", Whole),  # what it thought before it answered
    sa.Column("logprobs", Whole),  # as ledger.token_logprobs packs them: read of few rows, and much of many
)

totals = sa.Table(
    # Sums of exchanges as `ledger.totals.Sums` has them; hour -1 is all time, "" is none.
    "totals",
    metadata,
    sa.Column("hour", sa.BigInteger, primary_key=True),
    sa.Column("task", sa.String(64), primary_key=True),
    sa.Column("release", sa.String(96), primary_key=True),
    sa.Column("key", sa.String(24), primary_key=True),
    sa.Column("origin", sa.String(16), primary_key=True),
    *(
        sa.Column(name, sa.BigInteger, nullable=False, server_default="0")
        for name in ("requests", "student_answers", "draft_prompt_tokens", "draft_completion_tokens")
    ),
    *(
        sa.Column(name, sa.BigInteger, nullable=False, server_default="0")
        for name in ("teacher_prompt_tokens", "teacher_cached_tokens", "teacher_completion_tokens", "answer_tokens")
    ),
    sa.Column("pairs", sa.BigInteger, nullable=False, server_default="0"),
    *(
        sa.Column(name, sa.Double, nullable=False, server_default="0")
        for name in ("paid_usd", "label_usd", "draft_usd", "near_x", "near_y")
    ),
    *(
        sa.Column(name, sa.Double, nullable=False, server_default="0")
        for name in ("pair_x", "pair_y", "pair_xx", "pair_xy", "pair_yy")
    ),
    sa.Index("totals_by_task", "task", "hour"),
)

feedback = sa.Table(
    # The last word of people on an answer.
    "feedback",
    metadata,
    sa.Column("exchange_id", sa.String(40), primary_key=True),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("good", sa.Boolean, nullable=False),
    sa.Column("correction", Whole),
    sa.Column("key", sa.String(24)),
)

releases = sa.Table(
    # A release is adapter + base + calibrator + certificate, one lifecycle:
    # candidate [-> canary | ready] -> champion -> retired | rolled_back | voided | forgotten, or refused.
    "releases",
    metadata,
    sa.Column("name", sa.String(96), primary_key=True),
    sa.Column("task", sa.String(64), nullable=False),
    sa.Column("number", sa.Integer, nullable=False),
    sa.Column("status", sa.String(16), nullable=False),
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("changed_at", sa.Float, nullable=False),
    sa.Column("cut_at", sa.Float, nullable=False),
    sa.Column("base_model", Whole, nullable=False),
    sa.Column("adapter_path", Whole, nullable=False),
    sa.Column("adapter_digest", sa.String(64), nullable=False),
    sa.Column("fingerprint", sa.String(64)),
    sa.Column("calibrator", JSON),
    sa.Column("certificate", JSON),
    sa.Column("refusal", JSON),
    sa.Column("report", JSON),
    sa.UniqueConstraint("task", "number"),
    # At most one champion and one canary a task, whatever two promoters do at once.
    *(
        sa.Index(
            f"one_{status}_a_task",
            "task",
            unique=True,
            sqlite_where=sa.text(f"status = '{status}'"),
            postgresql_where=sa.text(f"status = '{status}'"),
        )
        for status in ("champion", "canary")
    ),
)

row_uses = sa.Table(
    # The life of a row: it certifies one release at most, and none that has trained or fitted on it, nor one whose
    # adapter it was studied with.
    "row_uses",
    metadata,
    sa.Column("exchange_id", sa.String(40), primary_key=True),
    sa.Column("release", sa.String(96), primary_key=True),
    sa.Column("use", sa.String(16), nullable=False),  # as ledger.queries.UseKind
    sa.Column("reason", sa.String(32)),  # of a rejected one, or as ledger.lineage.UsedRow
    sa.Column("draft_text", Whole),
    sa.Column("score", sa.Float),
    sa.Column("disagreement", sa.Float),
    sa.Index(
        "certifies_once",
        "exchange_id",
        unique=True,
        sqlite_where=sa.text("use = 'certify'"),
        postgresql_where=sa.text("use = 'certify'"),
    ),
)

familiar = sa.Table(
    # What taught a release, as `calibration.familiar` keeps it: hashes of n-grams, no text.
    "familiar",
    metadata,
    sa.Column("release", sa.String(96), primary_key=True),
    sa.Column("lessons", sa.LargeBinary, nullable=False),
)

prices = sa.Table(
    # Versioned: the newest row of a model is in force, older ones explain older costs.
    "prices",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("model", Named(128), nullable=False),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("input_usd_per_token", sa.Float, nullable=False),
    sa.Column("output_usd_per_token", sa.Float, nullable=False),
    sa.Column("cached_usd_per_token", sa.Float),  # of a prompt's tokens that its provider has read before
    sa.Column("source", sa.String(64), nullable=False),
    sa.Column("kinds", JSON),  # the whole price, as ledger.prices.Price, where it has more than the columns hold
    sa.Index("prices_by_model", "model", "at"),
)

spool_offsets = sa.Table(
    # Advanced in the transaction that inserts the rows: a record is in both or in neither.
    "spool_offsets",
    metadata,
    sa.Column("segment", sa.String(128), primary_key=True),
    sa.Column("offset", sa.BigInteger, nullable=False),
)

leases = sa.Table(
    # Who may act for all, and until when: one distilling worker among many.
    "leases",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("holder", sa.String(128), nullable=False),
    sa.Column("until", sa.Float, nullable=False),
)

decisions = sa.Table(
    # What the worker made of each task, and why: also the decision not to train.
    "decisions",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("task", sa.String(64), nullable=False),
    sa.Column("action", sa.String(16), nullable=False),  # as ledger.decisions.Action
    sa.Column("trigger", sa.String(16), nullable=False),
    sa.Column("reason", Whole, nullable=False),
    sa.Column("release", sa.String(96)),
    sa.Index("decisions_by_task", "task", "id"),
)

progress = sa.Table(
    # How far a task is from its next release: the worker's last count, for metrics.
    "progress",
    metadata,
    sa.Column("task", sa.String(64), primary_key=True),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("rows", sa.Integer, nullable=False),
    sa.Column("rows_needed", sa.Integer, nullable=False),
    sa.Column("references", sa.Integer, nullable=False),
    sa.Column("references_needed", sa.Integer, nullable=False),
    sa.Column("expected_at", sa.Float),
)

live = sa.Table(
    # What the references of a release have shown since it is in force: the worker's last count, for whoever shows it.
    "live",
    metadata,
    sa.Column("release", sa.String(96), primary_key=True),
    sa.Column("since", sa.Float, nullable=False),
    sa.Column("answers", sa.Integer, nullable=False),
    sa.Column("references", sa.Integer, nullable=False),
    sa.Column("errors", sa.Integer, nullable=False),
    sa.Column("agreement", sa.Float, nullable=False),
    sa.Column("low", sa.Float, nullable=False),
    sa.Column("high", sa.Float, nullable=False),
    sa.Column("alarm", sa.Float, nullable=False),
    sa.Column("exposure", sa.Float),
)

probe_questions = sa.Table(
    # Requests that a teacher is asked again every day, and what it said at first.
    "probe_questions",
    metadata,
    sa.Column("task", sa.String(64), primary_key=True),
    sa.Column("teacher", Named(128), primary_key=True),
    sa.Column("exchange_id", sa.String(40), primary_key=True),
    sa.Column("answer", Whole, nullable=False),
)

probe_rounds = sa.Table(
    # How many of them it answered as at first. The first round asks as clients did, and is compared with their answers.
    "probe_rounds",
    metadata,
    sa.Column("task", sa.String(64), primary_key=True),
    sa.Column("teacher", Named(128), primary_key=True),
    sa.Column("at", sa.Float, primary_key=True),
    sa.Column("asked", sa.Integer, nullable=False),
    sa.Column("agreed", sa.Integer, nullable=False),
)

verdicts = sa.Table(
    # What a judge said of a reference: whether the student's answer differs. A judge is its model, rubric and question.
    "verdicts",
    metadata,
    sa.Column("exchange_id", sa.String(40), primary_key=True),
    sa.Column("judge", sa.String(64), primary_key=True),
    sa.Column("flagged", sa.Boolean, nullable=False),
    sa.Column("at", sa.Float, nullable=False),
)

judge_labels = sa.Table(
    # Pairs of answers that people have labelled, and what a judge said of them; `pair` is a digest of prompt and texts.
    "judge_labels",
    metadata,
    sa.Column("task", sa.String(64), primary_key=True),
    sa.Column("judge", sa.String(64), primary_key=True),
    sa.Column("pair", sa.String(64), primary_key=True),
    sa.Column("prompt", Whole, nullable=False),
    sa.Column("student", Whole, nullable=False),
    sa.Column("teacher", Whole, nullable=False),
    sa.Column("same", sa.Boolean, nullable=False),
    sa.Column("flagged", sa.Boolean, nullable=False),
    sa.Column("at", sa.Float, nullable=False),
)

keys = sa.Table(
    # Who may ask a gateway: the digest of a secret, what it allows. `account`: the first key of a line of rotations.
    "keys",
    metadata,
    sa.Column("id", sa.String(24), primary_key=True),
    sa.Column("digest", sa.String(64), nullable=False, unique=True),
    sa.Column("account", sa.String(24), nullable=False),
    sa.Column("name", sa.String(64), nullable=False),
    sa.Column("role", sa.String(8), nullable=False),  # client | worker | admin
    sa.Column("tasks", JSON),
    sa.Column("created_at", sa.Float, nullable=False),
    sa.Column("expires_at", sa.Float),
    sa.Column("revoked_at", sa.Float),
    sa.Column("replaces", sa.String(24), unique=True),
    sa.Column("rpm", sa.Integer),
    sa.Column("tpm", sa.Integer),
    sa.Column("streams", sa.Integer),
    sa.Column("budget_usd", sa.Float),
    sa.Column("budget_per", sa.String(8)),  # month | day | total
    sa.Column("teaches", sa.Boolean, nullable=False, server_default=sa.true()),
)

aliases = sa.Table(
    # What was said to belong to a task.
    "aliases",
    metadata,
    sa.Column("id", sa.String(24), primary_key=True),
    sa.Column("kind", sa.String(8), nullable=False),  # model | prompt
    sa.Column("value", Whole, nullable=False),
    sa.Column("task", sa.String(64), nullable=False),
    sa.Column("since", sa.Float, nullable=False),
    sa.Column("ended_at", sa.Float),
)

budgets = sa.Table(
    # What was spent at teachers and what is promised to requests under way, by scope (total, task:NAME, key:ACCOUNT).
    "budgets",
    metadata,
    sa.Column("period", sa.String(10), primary_key=True),  # a month, a day, or total
    sa.Column("scope", sa.String(96), primary_key=True),
    sa.Column("spent_usd", sa.Float, nullable=False),
    sa.Column("reserved_usd", sa.Float, nullable=False),
)

reservations = sa.Table(
    # Promises that are not settled yet, and until when somebody is expected to settle them.
    "reservations",
    metadata,
    sa.Column("id", sa.String(40), primary_key=True),
    sa.Column("scope", sa.String(96), primary_key=True),
    sa.Column("period", sa.String(10), nullable=False),
    sa.Column("usd", sa.Float, nullable=False),
    sa.Column("until", sa.Float, nullable=False),
    sa.Column("ended", sa.Boolean, nullable=False),  # nobody has, and it counts as spent
    sa.Index("reservations_by_end", "until"),
)

settings = sa.Table(
    # Small durable facts, such as the key of the reference draw.
    "settings",
    metadata,
    sa.Column("key", sa.String(64), primary_key=True),
    sa.Column("value", Whole, nullable=False),
)
