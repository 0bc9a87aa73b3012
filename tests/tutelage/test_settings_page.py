"""docs/settings.md is made of the code, and names every setting."""

from pydantic import BaseModel

from router.settings import Settings
from tutelage.settings_page import PAGE, page


def test_the_page_is_current():
    assert PAGE.read_text() == page(), "python -m tutelage.settings_page"


def test_every_setting_is_on_it_and_none_without_a_word_of_its_section():
    sections = {part.partition("\n")[0]: part for part in page().split("\n## ")}
    found = {name: part for name, part in sections.items() if name in {"server", "distill", "canary", "tasks.NAME"}}
    assert len(found) == 4
    for name, part in found.items():
        model = _model(name)
        assert all(f"| `{setting}` |" in part or f"{name}.{setting}" in page() for setting in model.model_fields)
        assert model.__doc__.splitlines()[0] in part


def test_a_section_has_the_words_of_what_it_inherits():
    (task,) = (part for part in page().split("\n## ") if part.startswith("tasks.NAME\n"))
    assert "What may be spent at teachers" in task and "student_prompt: full, or compact" in task


def _model(name: str) -> type[BaseModel]:
    annotation = Settings.model_fields[name.partition(".")[0]].annotation
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else annotation.__args__[1]


def test_needed_ones_secrets_and_bounds_are_told():
    assert "| `base_model` | **needed** | text |" in page()
    assert "| `limits_url` | `async+memory://` | a secret |" in page()
    assert "| `api_key` | none | a secret, or null |" in page()
    assert "| `rank` | `16` | whole number, at least 1, at most 256 |" in page()
    assert "## teachers.NAME.price" in page() and "| `above` | none | names, each with: settings as these |" in page()
