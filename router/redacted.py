"""A spool that never sees what is personal: records are redacted before they are appended."""

from dataclasses import dataclass

from ledger.records import Record
from ledger.redaction import Redactor
from router.ports import Spool


@dataclass(frozen=True)
class RedactedSpool:
    """As `spool`, of what `redactor` leaves. Draws, fingerprints, scores and costs are of the originals."""

    spool: Spool
    redactor: Redactor

    @property
    def available(self) -> bool:
        """False while appending fails."""
        return self.spool.available

    def append(self, record: Record) -> None:
        """Keep the record. Raises ledger.spool.SpoolUnavailable."""
        self.spool.append(self.redactor.record(record))
