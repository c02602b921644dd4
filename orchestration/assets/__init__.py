"""The asset graph: landing files -> lake (through intake and gate) -> dbt models -> serving -> report and exports."""

from dagster import Backoff, Jitter, RetryPolicy

# A reader that holds the warehouse file, a share that is away for a moment: tried again after one,
# two and four minutes. What another attempt cannot cure fails at once.
RETRY = RetryPolicy(max_retries=3, delay=60, backoff=Backoff.EXPONENTIAL, jitter=Jitter.PLUS_MINUS)
# The pool of the one writer; the instance limits it to one run (orchestration/ui.py).
WRITER = "warehouse"
