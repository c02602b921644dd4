-- Fails for a batch whose rows do not add up: landed = accepted + duplicate + superseded + quarantined
-- + erased.
-- Why: the promise that no landed row is ever lost or counted twice. `landed` comes from the intake, which counts the
-- rows of the files; the others from staging.
-- Not claimed: that a row has the right fate; tests/python/test_daily_job.py compares with planted truth.
select *
from {{ ref('row_conservation') }}
where
    landed_rows is distinct from accepted_rows + duplicate_rows + superseded_rows + quarantined_rows + erased_rows
