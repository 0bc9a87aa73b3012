"""The configuration `tutelage init` writes to start from: short, commented, valid."""

STUDENT_USD_PER_MTOK = (0.02, 0.05)  # read and written, of a small model on a machine that is kept busy

TEMPLATE = """\
# Tutelage. Every key can be overridden from the environment: TUTELAGE_SERVER__PORT=9000.
server:
  host: 127.0.0.1            # any other address needs TUTELAGE_SERVER__API_KEY
  port: 8080

ledger:
  url: sqlite:///tutelage-data/ledger.db
  spool_dir: tutelage-data/spool
  # redact: {{}}               # e-mail addresses, phone, card and account numbers never reach the disk

teachers:
  {teacher}:                 # the model name your clients already use
    model: {litellm_model}
    api_key_env: {key_env}
    # What its provider allows a minute. Beyond it requests are refused by priority, before the teacher is asked:
    # capacity_rpm: 500
    # capacity_tpm: 200000
    # Training a model on a teacher's outputs needs its provider's permission. Denied until you have read the terms:
    may_train: false
    terms: ""                # where they allow it, once they do
    confirmed_by: ""         # who has read them and confirms it, and when; kept with every release

student:
  base_model: {base_model}
  price:                     # what a student token costs you: machine price / tokens served
    input_usd_per_mtok: {student_input}
    output_usd_per_mtok: {student_output}
  # usd_per_hour: 2.50       # or, in place of price, what its machine costs by the hour (docs/decisions/0026)

tasks:
  {task}:
    teacher: {teacher}
    measure: exact           # when two answers agree: exact | number | json | judge
    alpha: 0.05              # at most this share of student answers may differ from the teacher's ...
    delta: 0.05              # ... or the release fails the test with probability 1 - delta
    margin: 0.2              # share of alpha that a release leaves free where it was tested
    rho: 0.05                # share of requests that the teacher always answers too
    max_tokens: 64           # of the student's answers: what is longer is the teacher's
    # prefix: 64             # for long answers, with a larger max_tokens: judge drafts by their beginning, stream on
    # Requests for model "{teacher}" with exactly this system message belong to the task; otherwise clients
    # send model "{task}" or the header x-tutelage-task.
    # system_prompt: "Classify the customer message."
    # student_prompt: compact  # the student reads an empty message in its place, in training and in service

# distill:
#   learning_rate: 2.0e-4    # for a base model of some billions of weights; 1e-3, as it is, for a hundred million
#   also_try:                # or let validation say: each is tried on a thousand rows first
#     - learning_rate: 5.0e-4
"""

KEY_ENVS = {"openai": "OPENAI_API_KEY", "anthropic": "ANTHROPIC_API_KEY", "gemini": "GEMINI_API_KEY"}


def starter(*, teacher: str, task: str, base_model: str) -> str:
    """The YAML text for a LiteLLM model string such as `openai/gpt-4o-mini`."""
    provider, _, name = teacher.rpartition("/")
    read_usd, written_usd = STUDENT_USD_PER_MTOK
    return TEMPLATE.format(
        teacher=name.replace(":", "-"),
        litellm_model=teacher,
        key_env=KEY_ENVS.get(provider, f"{provider.upper().replace('/', '_') or 'TEACHER'}_API_KEY"),
        base_model=base_model,
        student_input=read_usd,
        student_output=written_usd,
        task=task,
    )
