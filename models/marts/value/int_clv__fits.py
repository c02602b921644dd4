# Grain: one row per fit (as_of, calibration), brand, model (bg_nbd, gamma_gamma) and parameter.
# Why: maximum likelihood of BG/NBD and Gamma-Gamma on grouped statistics. Customers with equal statistics are one
#      row with a weight, days are whole numbers, and the gradient is analytic, so that the cost follows the number
#      of different histories and not of customers.
# Not here: predictions (int_clv__expected_orders, SQL); the choice whether a fit is used (int_clv__gate).
"""Fits of the CLV models. The functions need NumPy and SciPy only and are tested and timed without dbt."""

import numpy as np
import pandas as pd
from scipy.optimize import minimize
from scipy.special import gammaln, psi

# Parameters are searched as logarithms of multiples of the data's own scale, from these points within this bound.
BG_NBD_START = (0.0, 0.0, 0.0, 0.5)
GAMMA_GAMMA_START = (1.5, 1.2, 0.0)
BOUND = 12.0
# Converged = no slope left in the mean log-likelihood and no parameter at the bound. The mean, and not the sum,
# is what lets a million customers converge as two thousand do.
MAX_SLOPE = 1e-6
# From this many groups on a systematic sample of one in so many comes first. CPU seconds of both fits of a million
# customers: 4.0 without, 2.2 with.
SAMPLE_FROM = 20_000
SAMPLE_STEP = 16
SIGNIFICANT_DIGITS = 12

# `string` and not `object`: DuckDB takes an empty object column for integers.
COLUMNS = {
    "fit_name": "string",
    "brand_id": "string",
    "model_name": "string",
    "parameter": "string",
    "value": "float64",
    "log_likelihood": "float64",
    "customers": "int64",
    "repeat_customers": "int64",
    "groups": "int64",
    "iterations": "int64",
    "slope": "float64",
    "is_converged": "bool",
    "spend_frequency_correlation": "float64",
}


def _minimise(objective, start, slope=1e-10):
    """L-BFGS-B from a fixed start: (parameters in logs, value, iterations, largest slope, converged)."""
    found = minimize(
        objective,
        np.array(start),
        jac=True,
        method="L-BFGS-B",
        bounds=[(-BOUND, BOUND)] * len(start),
        options={"maxiter": 1000, "maxcor": 20, "ftol": 1e-16, "gtol": slope},
    )
    value, gradient = objective(found.x)
    return _found(found.x, value, int(found.nit), gradient)


def _found(logs, value, iterations, gradient):
    slope = float(np.max(np.abs(gradient)))
    inside = bool(np.all(np.abs(logs) < BOUND - 1e-6))
    return logs, float(value), iterations, slope, slope < MAX_SLOPE and inside


def _polish(objective, logs, inverse):
    """Newton steps from close by, with the inverse curvature of a sample, corrected as in BFGS. One evaluation a step,
    as long as the slope falls; no line search, which at the end of double precision tries for nothing."""
    value, gradient = objective(logs)
    steps = 0
    for _ in range(20):
        move = -inverse @ gradient
        # Further than a factor of e, and the sample was no guide.
        if not np.max(np.abs(move)) < 1:
            break
        new_value, new_gradient = objective(logs + move)
        if not np.max(np.abs(new_gradient)) < np.max(np.abs(gradient)):
            break
        change = new_gradient - gradient
        logs, value, gradient, steps = logs + move, new_value, new_gradient, steps + 1
        if np.max(np.abs(gradient)) < 1e-10 or move @ change <= 0:
            break
        side = np.eye(len(logs)) - np.outer(move, change) / (move @ change)
        inverse = side @ inverse @ side.T + np.outer(move, move) / (move @ change)
    return _found(logs, value, steps, gradient)


def _inverse_curvature(objective, logs):
    """Inverse of the second derivatives by central differences of the gradient; None where it is no minimum."""
    step = 1e-4
    rows = [
        (objective(logs + step * unit)[1] - objective(logs - step * unit)[1]) / (2 * step)
        for unit in np.eye(len(logs))
    ]
    curvature = np.array(rows)
    curvature = (curvature + curvature.T) / 2
    if not np.all(np.isfinite(curvature)) or np.min(np.linalg.eigvalsh(curvature)) <= 0:
        return None
    return np.linalg.inv(curvature)


def _optimum(objective_of, groups, start):
    """As _minimise, on all groups. Many groups are approached by way of every SAMPLE_STEPth of them: the sample gives
    a start close by and the curvature. Where that does not converge, the plain way decides."""
    if len(groups[0]) >= SAMPLE_FROM:
        sample = objective_of(*(values[slice(None, None, SAMPLE_STEP)] for values in groups))
        near = _minimise(sample, start, slope=1e-6)[0]
        curvature = _inverse_curvature(sample, near)
        if curvature is not None:
            found = _polish(objective_of(*groups), near, curvature)
            if found[-1]:
                return found
    return _minimise(objective_of(*groups), start)


def _bg_nbd(x, t_x, age, weight, scale):
    """Mean negative log-likelihood and gradient as a function of the logs of r, alpha / scale, a, b."""
    total = weight.sum()
    days = np.arange(age.max() + 1, dtype=np.float64) / scale
    counts, count_of = np.unique(x, return_inverse=True)
    counts = counts.astype(np.float64)
    customers_by_count = np.bincount(count_of, weight)
    customers_by_age = np.bincount(age, weight, len(days))
    repeats_by_age = np.bincount(age, weight * x, len(days))
    again = x > 0
    x_again, n = x[again].astype(np.float64), weight[again]
    tx_again, age_again, count_again = t_x[again], age[again], count_of[again]

    def objective(logs):
        r, alpha, a, b = np.exp(logs)
        log_time = np.log(alpha + days)
        inverse_time = 1.0 / (alpha + days)
        log_gap = log_time[age_again] - log_time[tx_again]
        with np.errstate(divide="ignore"):
            log_odds = np.log(a) - np.log(
                b + counts - 1.0, where=counts > 0, out=np.zeros_like(counts)
            )
        odds = log_odds[count_again] + (r + x_again) * log_gap
        # log(1 + e^odds) and its slope from one exponential.
        power = np.exp(-np.abs(odds))
        left = np.where(odds > 0, 1.0, power) / (1.0 + power) * n
        by_count = (
            gammaln(r + counts)
            - gammaln(r)
            + r * logs[1]
            + gammaln(a + b)
            + gammaln(b + counts)
            - gammaln(b)
            - gammaln(a + b + counts)
        )
        likelihood = (
            customers_by_count @ by_count
            - (r * customers_by_age + repeats_by_age) @ log_time
            + n @ (np.log1p(power) + np.maximum(odds, 0.0))
        )
        left_by_count = np.bincount(count_again, left, len(counts))
        common = psi(a + b) - psi(a + b + counts)
        slope_r = (
            customers_by_count @ (psi(r + counts) - psi(r) + logs[1])
            - customers_by_age @ log_time
            + left @ log_gap
        )
        slope_alpha = (
            total * r / alpha
            - (r * customers_by_age + repeats_by_age) @ inverse_time
            + (left * (r + x_again)) @ (inverse_time[age_again] - inverse_time[tx_again])
        )
        slope_a = customers_by_count @ common + left.sum() / a
        inverse_chances = np.divide(
            1.0, b + counts - 1.0, where=counts > 0, out=np.zeros_like(counts)
        )
        slope_b = (
            customers_by_count @ (common + psi(b + counts) - psi(b))
            - left_by_count @ inverse_chances
        )
        slopes = np.array([slope_r * r, slope_alpha * alpha, slope_a * a, slope_b * b])
        return -likelihood / total, -slopes / total

    return objective


def fit_bg_nbd(x, t_x, age, weight):
    """BG/NBD of grouped customers.

    x repeat purchase days, t_x days from first to last purchase, age days from first purchase to the end of the
    observation (whole numbers), weight customers. Returns parameters r, alpha (days), a, b and how the fit went.
    Fader, Hardie, Lee: "Counting Your Customers" the Easy Way (Marketing Science 24, 2005), equation 6.
    """
    x, t_x, age = (np.asarray(v, dtype=np.int64) for v in (x, t_x, age))
    weight = np.asarray(weight, dtype=np.float64)
    total = weight.sum()
    scale = max(float(weight @ age) / total, 1.0)
    logs, value, iterations, slope, converged = _optimum(
        lambda *groups: _bg_nbd(*groups, scale), (x, t_x, age, weight), BG_NBD_START
    )
    r, alpha, a, b = np.exp(logs)
    # In days: every repeat purchase carries a density per unit of time.
    likelihood = -value * total - np.log(scale) * float(weight @ x)
    return {
        "parameters": {"r": r, "alpha": alpha * scale, "a": a, "b": b},
        "log_likelihood": likelihood,
        "iterations": iterations,
        "slope": slope,
        "is_converged": converged,
    }


def _gamma_gamma(x, z, weight):
    """Mean negative log-likelihood and gradient as a function of the logs of p, q, v; z is the amount, in units."""
    total = weight.sum()
    counts, count_of = np.unique(x, return_inverse=True)
    customers_by_count = np.bincount(count_of, weight)
    sum_log_mean = float(weight @ np.log(z / x))
    weight_x = weight * x
    sum_x_log_z = float(weight_x @ np.log(z))

    def objective(logs):
        p, q, v = np.exp(logs)
        both = v + z
        log_total = np.log(both)
        share = weight / both
        px, pxq = p * counts, p * counts + q
        sum_log, sum_x_log = weight @ log_total, weight_x @ log_total
        likelihood = (
            customers_by_count @ (gammaln(pxq) - gammaln(px) - gammaln(q) + q * logs[2])
            + p * sum_x_log_z
            - sum_log_mean
            - p * sum_x_log
            - q * sum_log
        )
        slope_p = customers_by_count @ (counts * (psi(pxq) - psi(px))) + sum_x_log_z - sum_x_log
        slope_q = customers_by_count @ (psi(pxq) - psi(q) + logs[2]) - sum_log
        slope_v = total * q / v - (p * (share @ x) + q * share.sum())
        return -likelihood / total, -np.array([slope_p * p, slope_q * q, slope_v * v]) / total

    return objective


def fit_gamma_gamma(x, amount, weight):
    """Gamma-Gamma of grouped repeat buyers: x repeat purchase days, amount they came to (> 0), weight customers.

    Returns parameters p, q, v (v in the unit of the amount) and how the fit went.
    Fader, Hardie: The Gamma-Gamma Model of Monetary Value (2013), equation 1a.
    """
    x, amount, weight = (np.asarray(v, dtype=np.float64) for v in (x, amount, weight))
    total = weight.sum()
    scale = float(weight @ amount) / float(weight @ x)
    logs, value, iterations, slope, converged = _optimum(
        _gamma_gamma, (x, amount / scale, weight), GAMMA_GAMMA_START
    )
    p, q, v = np.exp(logs)
    return {
        "parameters": {"p": p, "q": q, "v": v * scale},
        "log_likelihood": -value * total - np.log(scale) * float(total),
        "iterations": iterations,
        "slope": slope,
        "is_converged": converged,
    }


def correlation(x, amount, weight):
    """Correlation of repeat purchases and mean spend: Gamma-Gamma takes them as independent."""
    x, mean = np.asarray(x, dtype=np.float64), np.asarray(amount, dtype=np.float64) / np.asarray(x)
    share = np.asarray(weight, dtype=np.float64) / np.sum(weight)
    dx, dm = x - share @ x, mean - share @ mean
    spread = np.sqrt((share @ dx**2) * (share @ dm**2))
    return float((share @ (dx * dm)) / spread) if spread > 0 else float("nan")


def rounded(value):
    """12 significant digits: the optimum is not known better, and stored bytes must not depend on the library."""
    return float(f"{value:.{SIGNIFICANT_DIGITS}g}")


def fits(frequency, spend, min_repeat_buyers):
    """Rows of the model, from the two grouped frames. Brands with too few repeat buyers are not fitted: their
    parameters are NULL."""
    keys = ["fit_name", "brand_id"]
    frequency = frequency.sort_values([*keys, "bg_frequency", "bg_recency", "bg_age"])
    spend = spend.sort_values([*keys, "bg_frequency", "repeat_amount"])
    spend_of = dict(list(spend.groupby(keys)))
    rows = []
    for key, people in frequency.groupby(keys):
        repeat = int(people.customers[people.bg_frequency > 0].sum())
        buyers = spend_of.get(key, spend.iloc[:0])
        paying = int(buyers.customers.sum())
        enough = repeat >= min_repeat_buyers
        for model, names, customers, groups, fit in [
            (
                "bg_nbd",
                ("r", "alpha", "a", "b"),
                int(people.customers.sum()),
                people,
                lambda g: fit_bg_nbd(g.bg_frequency, g.bg_recency, g.bg_age, g.customers),
            ),
            (
                "gamma_gamma",
                ("p", "q", "v"),
                paying,
                buyers,
                lambda g: fit_gamma_gamma(g.bg_frequency, g.repeat_amount, g.customers),
            ),
        ]:
            found = fit(groups) if enough and len(groups) > 1 else None
            related = float("nan")
            if found and model == "gamma_gamma":
                related = rounded(
                    correlation(groups.bg_frequency, groups.repeat_amount, groups.customers)
                )
            for name in names:
                rows.append(
                    {
                        "fit_name": key[0],
                        "brand_id": key[1],
                        "model_name": model,
                        "parameter": name,
                        "value": rounded(found["parameters"][name]) if found else float("nan"),
                        "log_likelihood": rounded(found["log_likelihood"])
                        if found
                        else float("nan"),
                        "customers": customers,
                        "repeat_customers": repeat if model == "bg_nbd" else paying,
                        "groups": len(groups),
                        "iterations": found["iterations"] if found else 0,
                        # Two digits: what is left of the slope is rounding noise.
                        "slope": float(f"{found['slope']:.2g}") if found else float("nan"),
                        "is_converged": bool(found and found["is_converged"]),
                        "spend_frequency_correlation": related,
                    }
                )
    return pd.DataFrame(rows, columns=list(COLUMNS)).astype(COLUMNS)


def _frame(relation):
    """The rows as pandas, from a DuckDB relation or a Spark frame."""
    return relation.toPandas() if hasattr(relation, "toPandas") else relation.df()


def model(dbt, session):
    dbt.config(materialized="table")
    frequency = _frame(dbt.ref("int_clv__frequency_groups"))
    spend = _frame(dbt.ref("int_clv__spend_groups"))
    return fits(frequency, spend, int(dbt.config.get("min_repeat_buyers")))
