"""The gate: Great Expectations judges every new landing batch before dbt sees it.

DuckDB shrinks the candidate rows of an entity to one row of counts per batch (`profile`), Great
Expectations validates those small tables, one suite per entity (`suites`), and each failure is
mapped back to the batch that it names (`judge`). So a first load of hundreds of batches costs one
scan and one validation per entity, and a batch of fifty million rows costs Great Expectations as
much as a batch of ten. Nothing here imports Great Expectations before there is a batch to validate:
the import alone takes five to seven seconds.
"""


class GateError(RuntimeError):
    """The gate itself could not do its work; says nothing about the batches."""
