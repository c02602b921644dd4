"""What `make bench` says of its figures: ratios, budgets and regressions, on a made-up run."""

from __future__ import annotations

import yaml
from support import PROJECT

from bench import job

BUDGETS = {
    "phases": {
        "full build": {"cpu_ratio": 8, "memory_mb": 6144, "from_millions": 10},
        "one day": {"cpu_ratio": 2.5, "times": "empty batch", "from_millions": 10},
    },
    "models": {"any": 1},
}


def run(millions: float = 10, full: float = 70, day: float = 50, memory: float = 4000, **models):
    def row(phase, cpu, **more):
        return {"millions": millions, "phase": phase, "wall": cpu, "cpu": cpu} | more

    built = {"models": {**models, "all models": sum(models.values()), "tests": 1.0}}
    about = {"cpu": "any", "cores": 2, "memory_gb": 23, "python": "3", "commit": "c"}
    about |= dict.fromkeys(("duckdb", "dbt-core", "dbt-duckdb"), "1")
    rows = [
        row("load floor", 10.0, memory_mb=100.0),
        row("full build", full, memory_mb=memory, **built),
        row("empty batch", 20.0, memory_mb=100.0),
        row("one day", day, memory_mb=100.0, **built),
    ]
    return {"machine": about, "rows": rows}


def test_a_run_within_its_budgets_misses_none():
    assert job.missed(run(customer_day=9.0), BUDGETS) == []


def test_a_budget_is_a_ratio_to_the_phase_that_it_names():
    (full, day) = job.missed(run(full=81, day=51), BUDGETS)
    assert full == "10 million, full build: 8.1 times the load floor, allowed 8"
    assert day == "10 million, one day: 2.5 times the empty batch, allowed 2.5"


def test_a_phase_may_have_a_budget_for_its_growth_from_the_smallest_size_that_has_one():
    rows = [row for size, day in ((1, 5), (10, 20), (50, 31)) for row in run(size, day=day)["rows"]]
    day = BUDGETS["phases"]["one day"] | {"growth": 1.5}
    budgets = BUDGETS | {"phases": BUDGETS["phases"] | {"one day": day}}
    assert job.missed(run() | {"rows": rows}, budgets) == [
        "50 million, one day: 1.6 times that of 10 million, allowed 1.5"
    ]


def test_small_sizes_have_no_time_budget_because_starting_costs_more_than_working():
    assert job.missed(run(millions=1, full=200), BUDGETS) == []


def test_memory_and_the_time_of_a_single_model_have_budgets_too():
    memory, model = job.missed(run(memory=7000, customer_day=11.0), BUDGETS)
    assert "7000 MB, allowed 6144" in memory
    assert "customer_day: 1.1 load floors, allowed 1" in model


def test_the_page_shows_a_regression_as_a_ratio_to_the_run_before():
    text = job.page([run(full=70), run(full=105)], BUDGETS)
    assert "| 10 | full build | 105.0 | 105.0 | 10.50 | 4,000 |  | × 1.50 |" in text
    assert "- missed: 10 million, full build: 10.5 times the load floor" in text


def test_the_page_says_what_comes_next_as_long_as_a_budget_is_missed():
    planned = BUDGETS | {"next": ["keep the older days of stage_flows"]}
    assert "What comes next:\n\n- keep the older days" in job.page([run(full=105)], planned)
    assert "What comes next" not in job.page([run(full=70)], planned)


def test_the_page_shows_the_slowest_models_of_each_size_and_all_of_them_once_folded_up():
    """What a run before wrote down of a larger size may be its slowest alone."""
    models = {f"m{n:02}": 9.0 - n / 10 for n in range(20)}
    few = {"m00": 90.0}
    rows = [row for size, of in ((1, models), (50, few)) for row in run(size, **of)["rows"]]
    shown, folded = job.page([run() | {"rows": rows}], BUDGETS).split("<details>")
    assert "| m11 | 7.90 |" in shown and "m12" not in shown
    assert "Every model, full build, 1 million" in folded
    assert folded.index("| m12 | 7.80 |") < folded.index("| m19 | 7.10 |")
    assert "all models |" not in folded


def test_what_disturbed_a_run_stands_above_its_figures():
    text = job.page([run() | {"note": "Beside other work."}], BUDGETS)
    assert text.index("Beside other work.") < text.index("| 10 | load floor")


def test_a_peer_that_is_faster_than_its_budget_allows_misses_it_and_stands_in_the_page():
    peer = {
        "peer": "Splink",
        "work": "components",
        "ours_cpu": 2.0,
        "theirs_cpu": 4.0,
        "equal": True,
    }
    measured = run() | {"peers": [peer | {"ours_s": 1.0, "theirs_s": 3.0}]}
    budgets = BUDGETS | {"peers": {"Splink": 3}}
    assert job.missed(measured, budgets) == [
        "components: Splink takes 2.0 times the processor seconds, wanted 3"
    ]
    assert "| Splink | components | 4.0 | 2.0 | 2.0 | 3.0 | 1.0 | yes |" in job.page(
        [measured], budgets
    )


def test_the_budgets_name_peers_that_are_measured():
    from bench.peers import PEERS

    assert set(yaml.safe_load(job.BUDGETS.read_text())["peers"]) == set(PEERS)


def test_the_budgets_name_phases_that_are_measured():
    budgets = yaml.safe_load(job.BUDGETS.read_text())
    source = (PROJECT / "bench" / "job.py").read_text()
    for phase, limits in budgets["phases"].items():
        assert f'"{phase}"' in source and f'"{limits.get("times", "load floor")}"' in source


def test_seconds_and_the_memory_of_a_single_model_have_budgets_too():
    budgets = BUDGETS | {
        "phases": {"empty refresh": {"seconds": 25}, "dbt parse": {"seconds": 6}},
        "model_memory_mb": {"any": 3000, "customer_day": 2000},
    }
    slow = run()
    slow["start"] = [{"phase": "dbt parse", "wall": 7.0, "cpu": 6.0, "memory_mb": 180.0}]
    slow["rows"].append(
        {"millions": 10, "phase": "empty refresh", "wall": 26, "cpu": 20, "memory_mb": 500}
    )
    slow["rows"][1]["model_memory"] = {"customer_day": 2001, "stage_flows": 3000}
    assert job.missed(slow, budgets) == [
        "dbt parse: 7.0 s, allowed 6",
        "10 million, customer_day: 2001 MB, allowed 2000",
        "10 million, empty refresh: 26 s, allowed 25",
    ]
