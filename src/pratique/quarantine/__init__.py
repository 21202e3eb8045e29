"""Quarantined records on disk, with their reasons: written before the commit, visible through its marker only."""

from pratique.quarantine.export import Exported, ExportFormat
from pratique.quarantine.records import fingerprint, held_records, masked, masked_causes, quarantine_record
from pratique.quarantine.segments import Filters, HeldCause, Quarantine

__all__ = [
    "ExportFormat",
    "Exported",
    "Filters",
    "HeldCause",
    "Quarantine",
    "fingerprint",
    "held_records",
    "masked",
    "masked_causes",
    "quarantine_record",
]
