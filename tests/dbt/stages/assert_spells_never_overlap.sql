-- Fails with: a stay of a customer that begins before his stay before it in the same model has ended, that ends on or
--             before its first day, or that follows at once on a stay in the same stage.
-- Why: everything that counts customers adds up spells; one overlap counts a person twice.
-- Not claimed: that the stage is the right one (tests/oracle).
with spells as (
    select
        model,
        brand_id,
        customer_key,
        stage,
        valid_from,
        valid_to,
        lag(valid_to, 1, date '0001-01-01') over stays as previous_valid_to,
        lag(stage) over stays as previous_stage,
        row_number() over stays as stay_number
    from {{ ref('int_stages__spells') }}
    window stays as (partition by model, brand_id, customer_key order by valid_from)
)

select *
from spells
where
    valid_to <= valid_from
    or stay_number > 1
    and (
        previous_valid_to is null
        or previous_valid_to > valid_from
        or previous_valid_to = valid_from and previous_stage = stage
    )
