-- Fails when, in a made-up world (var identity_truth), pairwise precision is below 0.999 or recall below 0.99 of what
-- its landed records can tie together. Without a truth there is nothing to fail.
select
    metric,
    rate
from {{ ref('identity_quality') }}
where
    metric = 'pairwise_precision' and rate < 0.999
    or metric = 'pairwise_recall' and rate < 0.99
