import pytest

from ledger.database import connect
from ledger.queries import RowReused, Use, record_uses, rows_used
from ledger.releases import add_candidate, set_adapter
from ledger.studies import record_study


def test_what_an_adapter_was_studied_with_certifies_another_one_only(tmp_path):
    engine = connect(f"sqlite:///{tmp_path}/ledger.db")
    names = [add_candidate(engine, task="desk", cut_at=0.0, base_model="b", now=1.0).name for _ in range(3)]
    for name, digest in zip(names, ("a", "a", "b"), strict=True):
        set_adapter(engine, name, path="/a", digest=digest)
    for _ in range(2):  # to look again uses nothing up
        record_study(engine, release=names[0], rows=["id-000001", "id-000002"])
    assert rows_used(engine, "desk") == {}
    with pytest.raises(RowReused, match=r"id-000001 cannot certify: it was used before \(study\)"):
        record_uses(engine, release=names[1], uses=[Use("id-000001", "certify")])
    record_uses(engine, release=names[2], uses=[Use("id-000001", "certify")])
