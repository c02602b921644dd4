# Grain: one row per pair of identifiers whose profiles are one person with at least the listed probability.
# Why: people who share no identifier are found by what their profiles say: a Fellegi-Sunter model, trained by Splink
#      without labels on these very profiles, weighs agreement and disagreement; rare names weigh more than common ones.
# Not here: what becomes of a pair (int_identity__links, docs/identity.md). Switched off the table is empty, and neither
#           Splink nor a profile is loaded.
"""Probabilistic links. `pairs` needs pandas, DuckDB and Splink only and is tested without dbt."""

import json
import logging
import math

import pandas as pd

COLUMNS = {
    "left_key": "int64",
    "right_key": "int64",
    "left_type": "string",
    "right_type": "string",
    "match_probability": "float64",
    "match_weight": "float64",
    "is_accepted": "bool",
    "waterfall": "string",
}
# Pairs from which chance agreement is learnt, and the seed of their sample.
SAMPLED_PAIRS = 2_000_000
SAMPLE_SEED = 1


def _comparisons():
    """{columns that must be filled: comparison}: Splink's own comparisons with Splink's own thresholds."""
    import splink.comparison_library as cl

    # Text by Jaro-Winkler, numbers by edits. Rare full names, surnames and given names weigh more when they agree.
    return {
        ("given_name", "surname"): cl.ForenameSurnameComparison(
            "given_name", "surname", forename_surname_concat_col_name="full_name"
        ),
        ("gender",): cl.ExactMatch("gender"),
        ("birth_date",): cl.DateOfBirthComparison("birth_date", input_is_string=True),
        ("phone",): cl.LevenshteinAtThresholds("phone", [1]),
        ("email",): cl.EmailComparison("email"),
        ("street",): cl.JaroWinklerAtThresholds("street", [0.92, 0.8]),
        ("house_number",): cl.LevenshteinAtThresholds("house_number", [1]),
        ("postcode",): cl.LevenshteinAtThresholds("postcode", [1]),
        ("city",): cl.JaroWinklerAtThresholds("city", [0.92, 0.8]),
        ("province",): cl.ExactMatch("province"),
    }


def _rules(blocking, purpose, filled):
    """Blocking rules of one purpose, those on columns that nobody fills left out."""
    from splink import block_on

    named = [
        tuple(column.strip() for column in columns.split("+"))
        for columns in blocking.sort_values("columns").query("purpose == @purpose")["columns"]
    ]
    return [block_on(*columns) for columns in named if set(columns) <= filled]


def _waterfall(row, settings):
    """[{comparison, level, weight}, …]: the logarithms (base 2) that sum to the match weight of a pair."""
    steps = [{"comparison": "prior", "level": None, "weight": settings["prior"]}]
    for name, levels in settings["levels"].items():
        steps.append(
            {
                "comparison": name,
                "level": levels[row[f"gamma_{name}"]],
                "weight": rounded(row[f"mw_{name}"]),
            }
        )
        if f"mw_tf_adj_{name}" in row:
            steps.append(
                {
                    "comparison": f"{name}: term frequency",
                    "level": None,
                    "weight": rounded(row[f"mw_tf_adj_{name}"]),
                }
            )
    return json.dumps(steps, ensure_ascii=False)


def rounded(value):
    """Four decimals: the rest is noise of the last iteration."""
    return round(float(value), 4)


def pairs(records, blocking, accepted_from, listed_from, sure_recall, min_sure_pairs):
    """Rows of the model, from the profile records and the blocking rules (frames).

    `accepted_from`, `listed_from`: probabilities; `sure_recall`: share of the true pairs that the sure rules are
    taken to find; `min_sure_pairs`: with fewer of them there is nothing to learn from, and no pair is listed.
    The same frames give the same rows: one thread, a seeded sample, fixed starting values.
    """
    import duckdb
    from splink import DuckDBAPI, Linker, SettingsCreator

    nothing = pd.DataFrame(columns=list(COLUMNS)).astype(COLUMNS)
    records = records.sort_values("identifier_key").rename(columns={"identifier_key": "unique_id"})
    records["full_name"] = records.given_name.str.cat(records.surname, sep=" ")
    filled = {c for c in records.columns if records[c].nunique() > 1}
    predict, train, sure = (_rules(blocking, p, filled) for p in ("predict", "train", "sure"))
    comparisons = {k: c for k, c in _comparisons().items() if set(k) <= filled}
    if not (comparisons and predict and train and sure):
        return nothing

    session = duckdb.connect(config={"threads": 1})
    session.register("frame", records)
    session.execute("create table records as select * from frame")
    session.unregister("frame")
    linker = Linker(
        DuckDBAPI(session).register("records"),
        SettingsCreator(
            link_type="dedupe_only",
            comparisons=list(comparisons.values()),
            blocking_rules_to_generate_predictions=predict,
            retain_intermediate_calculation_columns=True,
        ),
    )
    logging.getLogger("splink").setLevel(logging.ERROR)
    training = linker.training
    training.estimate_probability_two_random_records_match(sure, recall=sure_recall)
    prior = linker.misc.save_model_to_json()["probability_two_random_records_match"]
    found = prior * sure_recall * len(records) * (len(records) - 1) / 2
    if found < min_sure_pairs:
        return nothing
    training.estimate_u_using_random_sampling(max_pairs=SAMPLED_PAIRS, seed=SAMPLE_SEED)
    for rule in train:
        training.estimate_parameters_using_expectation_maximisation(rule)
    scored = linker.inference.predict(threshold_match_probability=listed_from).as_pandas_dataframe()

    model = linker.misc.save_model_to_json()
    settings = {"prior": rounded(math.log2(prior / (1 - prior))), "levels": {}}
    for comparison in model["comparisons"]:
        levels = comparison["comparison_levels"]
        informative = [level for level in levels if not level.get("is_null_level")]
        labels = {-1: "missing"}
        for value, level in zip(range(len(informative) - 1, -1, -1), informative, strict=True):
            labels[value] = level.get("label_for_charts") or level["sql_condition"]
        settings["levels"][comparison["output_column_name"]] = labels

    types = dict(zip(records.unique_id, records.identifier_type, strict=True))
    rows = []
    for row in scored.to_dict("records"):
        left, right = sorted((int(row["unique_id_l"]), int(row["unique_id_r"])))
        probability = round(float(row["match_probability"]), 6)
        rows.append(
            {
                "left_key": left,
                "right_key": right,
                "left_type": types[left],
                "right_type": types[right],
                "match_probability": probability,
                "match_weight": rounded(row["match_weight"]),
                "is_accepted": probability >= accepted_from,
                "waterfall": _waterfall(row, settings),
            }
        )
    listed = pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)
    return listed.sort_values(["left_key", "right_key"], ignore_index=True)


def model(dbt, session):
    dbt.config(materialized="table")
    records = dbt.ref("int_identity__profile_records")
    blocking = dbt.ref("probabilistic_blocking")
    if str(dbt.config.get("switched_on")).lower() != "true":
        return pd.DataFrame(columns=list(COLUMNS)).astype(COLUMNS)
    return pairs(
        records.df(),
        blocking.df(),
        accepted_from=float(dbt.config.get("accepted_from")),
        listed_from=float(dbt.config.get("listed_from")),
        sure_recall=float(dbt.config.get("sure_recall")),
        min_sure_pairs=int(dbt.config.get("min_sure_pairs")),
    )
