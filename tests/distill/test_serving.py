import os

import pytest

from distill.adapters import AdapterError
from distill.serving import BLOCK, WHOLE, base_digest, serving


class Server:
    def version(self):
        return "0.32.0"


@pytest.fixture
def base(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "chat_template.jinja").write_text("{{ messages }}")
    (tmp_path / "model.safetensors").write_bytes(bytes(WHOLE + 40 * BLOCK))
    return tmp_path


def test_a_release_is_bound_to_engine_and_base_model(base):
    assert serving(Server(), str(base)) == {"engine": "0.32.0", "base_digest": base_digest(str(base))}


@pytest.mark.parametrize("name", ["config.json", "chat_template.jinja", "model.safetensors"])
def test_another_file_is_another_base_model(base, name):
    before = base_digest(str(base))
    (base / "notes.md").write_text("of no matter")
    assert base_digest(str(base)) == before
    (base / name).write_bytes((base / name).read_bytes()[:-BLOCK] + b"x" * BLOCK)
    os.utime(base / name, ns=(1, 1))
    assert base_digest(str(base)) != before


def test_a_model_that_is_not_here_is_said():
    with pytest.raises(AdapterError, match="neither a folder nor"):
        base_digest("no/such-model")
