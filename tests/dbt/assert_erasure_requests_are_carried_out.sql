-- Fails for a request to be erased that waits: `dbt build` alone cannot carry it out, because that also changes the lake,
-- published versions and exports. `make run`, or the Dagster job, does (docs/privacy.md).
-- Not claimed: that nothing is left of the person; audit.erasure_proof and tests/python/test_erasure.py show that.
select
    requested_at
from {{ ref('stg_landing__erasure_requests') }}
