"""The code location. It only loads: everything is defined beside this file."""

import os

from dagster import Definitions, in_process_executor

from orchestration.assets.exports import exports
from orchestration.assets.landing import intake_and_gate, landing_files
from orchestration.assets.report import health_report
from orchestration.assets.serving import serving
from orchestration.assets.warehouse import dbt_build
from orchestration.checks.freshness import LANDING_FRESHNESS, serving_is_fresh
from orchestration.checks.gate import gate_results
from orchestration.resources import dbt_resource, warehouse_from
from orchestration.schedules import daily_health_report, daily_schedule
from orchestration.sensors import landed_batches

defs = Definitions(
    assets=[landing_files, intake_and_gate, dbt_build, serving, exports, health_report],
    asset_checks=[gate_results, *LANDING_FRESHNESS, serving_is_fresh],
    jobs=[daily_health_report],
    schedules=[daily_schedule],
    sensors=[landed_batches],
    resources={"warehouse": warehouse_from(os.environ), "dbt": dbt_resource()},
    # The multiprocess default imports dbt and Great Expectations anew in every step: 65 s against 32 s.
    executor=in_process_executor,
)
