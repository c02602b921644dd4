"""A step that fails marks the day's report as held, whatever started it: the daily job, a backfill, or one asset that
somebody materialises by hand.

The steps do it themselves. A hook would belong to a job, and assets that are materialised by hand run in none of ours.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from dagster import AssetCheckExecutionContext, AssetExecutionContext, Failure

from orchestration.assets import RETRY
from orchestration.erasure import ErasureError
from orchestration.hold import Hold, read_hold
from orchestration.job import (
    Settings,
    blocking_batches,
    conclude,
    hold_of_batches,
    hold_of_error,
    tell,
    write_report,
)
from orchestration.resources import Warehouse
from orchestration.warehouse import BuildError

Context = AssetExecutionContext | AssetCheckExecutionContext


def hold_of_step(
    step: str,
    cause: BaseException | None,
    settings: Settings,
    failures: Iterable[Mapping[str, Any]] = (),
) -> Hold | None:
    """Why a failed step keeps the day back; None when it does not: the landing folder cannot be used.

    `step` is the name of the op, `cause` what it raised, `failures` the nodes of dbt that failed (hold.node_failures).
    """
    if step in ("gate_results", "serving") and (blocking := blocking_batches(settings)):
        return hold_of_batches(settings, blocking)
    if step == "dbt_build" and not isinstance(cause, ErasureError):
        return hold_of_error(settings, BuildError(str(cause), failures))
    return hold_of_error(settings, cause) if isinstance(cause, Exception) else None


def cause_of(error: BaseException | None) -> BaseException | None:
    """What a step failed of: the error of ours below Dagster's Failure, when there is one."""
    return error.__cause__ if isinstance(error, Failure) and error.__cause__ else error


def is_last_attempt(error: BaseException, attempts_before: int) -> bool:
    """Whether Dagster gives the step up after this error."""
    return (
        isinstance(error, Failure) and not error.allow_retries
    ) or attempts_before >= RETRY.max_retries


@contextmanager
def marking_report(
    step: str,
    context: Context,
    warehouse: Warehouse,
    failures: Callable[[], Iterable[Mapping[str, Any]]] = tuple,
) -> Iterator[None]:
    """Around the body of a step: when it fails for good, readers keep what they have, and the report says so and why."""
    try:
        yield
    except Exception as error:
        if is_last_attempt(error, context.retry_number):
            settings = settings_of(warehouse, context.run.tags)
            mark_report(
                context, settings, hold_of_step(step, cause_of(error), settings, failures())
            )
        raise


def mark_report(context: Context, settings: Settings, hold: Hold | None) -> None:
    """Remember the hold, write the report of its day and tell whom it may concern. Raises nothing: the step has failed
    of something else, and that is what counts.
    """
    if hold is None:
        return
    try:
        conclude(settings, following(read_hold(settings.workspace), hold))
        pages = write_report(settings)
        for line in [f"held: {page}" for page in pages] + tell(settings, pages):
            context.log.info(line)
    except Exception as error:
        context.log.warning(f"the report could not be marked as held: {error}")


def following(before: Hold | None, hold: Hold) -> Hold:
    """A hold after another one: tables of a build that did not pass stay unfit, whatever fails next."""
    return hold.with_(is_built=False) if before and not before.is_built else hold


def settings_of(warehouse: Warehouse, tags: Mapping[str, str]) -> Settings:
    """Settings of a run, as of its last partition when it has any."""
    keys = partition_keys(tags)
    return warehouse.settings_for(tags, keys) if keys else warehouse.settings(tags)


def partition_keys(tags: Mapping[str, str]) -> Sequence[str]:
    """First and last partition of a run, from its tags."""
    names = ("dagster/partition", "dagster/asset_partition_range_end")
    return [tags[name] for name in names if name in tags]


def note_green_build(settings: Settings, passed: Iterable[str] | None) -> None:
    """What did not pass before has passed now: the tables may be published again.

    `passed` are the names of the nodes that ran, None for all of them. A build of a part repairs what it contains.
    """
    hold = read_hold(settings.workspace)
    if hold is None or hold.is_built:
        return
    names = None if passed is None else set(passed)
    left = [each for each in hold.failures if names is not None and each["name"] not in names]
    if names is None or (hold.failures and not left):
        conclude(settings, hold.with_(is_built=True))
    elif len(left) < len(hold.failures):
        conclude(settings, hold.with_(failures=left))
