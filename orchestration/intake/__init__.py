"""The intake: turns new or changed landing batches into all-text Parquet, and moves what the gate admits into the lake.

    with prepare(landing, workspace, contract) as prepared:      # candidates under <workspace>/intake
        verdicts = ...                                           # the gate reads the candidates
        admission = admit(prepared, verdicts, workspace)         # lake + registry

`<workspace>/lake/batches.parquet` (the registry) is the only state; replacing it is the commit point.
"""

from orchestration.intake.landing import BatchRecord, FileRecord, LandingError
from orchestration.intake.load import Admission, Candidate, Prepared, Verdict, admit, prepare
from orchestration.intake.registry import RegistryRow, read_registry

__all__ = [
    "Admission",
    "BatchRecord",
    "Candidate",
    "FileRecord",
    "LandingError",
    "Prepared",
    "RegistryRow",
    "Verdict",
    "admit",
    "prepare",
    "read_registry",
]
