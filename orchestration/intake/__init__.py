"""The intake: landing batches become all-text Parquet; what the gate admits moves into the lake.

    with prepare(landing, workspace, contract) as prepared:  # candidates in <workspace>/intake
        verdicts = ...  # the gate reads the candidates
        admission = admit(prepared, verdicts, workspace)  # lake and registry

`<workspace>/lake/batches.parquet` (the registry) is the only state; replacing it is the commit.
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
