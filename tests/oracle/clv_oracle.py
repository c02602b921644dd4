"""BG/NBD and Gamma-Gamma straight from METRICS section 9, one customer at a time. Shares no code with the models."""

from __future__ import annotations

from math import exp, inf, lgamma, log

from scipy.integrate import quad
from scipy.special import hyp2f1


def bg_nbd_log_likelihood(r, alpha, a, b, x, t_x, age) -> float:
    a1 = lgamma(r + x) - lgamma(r) + r * log(alpha)
    a2 = lgamma(a + b) + lgamma(b + x) - lgamma(b) - lgamma(a + b + x)
    a3 = -(r + x) * log(alpha + age)
    a4 = log(a) - log(b + max(x, 1) - 1) - (r + x) * log(alpha + t_x) if x > 0 else -inf
    top = max(a3, a4)
    return a1 + a2 + top + log(exp(a3 - top) + exp(a4 - top))


def gamma_gamma_log_likelihood(p, q, v, x, mean) -> float:
    """Fader and Hardie (2013), equation 1a."""
    return (
        lgamma(p * x + q) - lgamma(p * x) - lgamma(q) + q * log(v)
        + (p * x - 1) * log(mean) + p * x * log(x) - (p * x + q) * log(x * mean + v)
    )  # fmt: skip


def p_alive(r, alpha, a, b, x, t_x, age) -> float:
    if x == 0:
        return 1.0
    return 1 / (1 + a / (b + x - 1) * ((alpha + age) / (alpha + t_x)) ** (r + x))


def expected_orders_if_alive(r, alpha, a, b, x, age, days) -> float:
    """The published formula, with SciPy's 2F1."""
    c, z = a + b + x - 1, days / (alpha + age + days)
    series = hyp2f1(r + x, b + x, c, z)
    return c / (a - 1) * (1 - ((alpha + age) / (alpha + age + days)) ** (r + x) * series)


def expected_orders_by_integral(r, alpha, a, b, x, age, days) -> float:
    """The same without any 2F1: drop-out chance p ~ Beta(a, b + x), purchases (1 - (1 + p t/(alpha+T))^-(r+x))/p.

    Holds where the published formula is singular (a = 1). p = s^(1/a) takes the pole of the density away.
    """
    w = days / (alpha + age)
    log_beta = lgamma(a) + lgamma(b + x) - lgamma(a + b + x)

    def density(s):
        p = s ** (1 / a)
        orders = (1 - (1 + p * w) ** -(r + x)) / p if p > 1e-12 else (r + x) * w
        return orders * (1 - p) ** (b + x - 1) / a

    value, _ = quad(density, 0, 1, epsabs=1e-13, epsrel=1e-12, limit=500)
    return value / exp(log_beta)


def expected_order_value(p, q, v, x, mean) -> float:
    weight = p * x / (p * x + q - 1)
    return (1 - weight) * v * p / (q - 1) + weight * mean


def discounted_value(r, alpha, a, b, p, q, v, x, t_x, age, mean, months=12, rate=0.01) -> float:
    total, before = 0.0, 0.0
    for i in range(1, months + 1):
        after = expected_orders_if_alive(r, alpha, a, b, x, age, 30 * i)
        total += (after - before) / (1 + rate) ** i
        before = after
    return total * p_alive(r, alpha, a, b, x, t_x, age) * expected_order_value(p, q, v, x, mean)
