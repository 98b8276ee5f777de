"""Writes the vectors of this folder: inputs of our own, expected values by SciPy and
statsmodels, which share no code with the package. DeLong's interval and Brookmeyer and
Crowley's are written out from their papers here.

    pip install scipy==1.17.1 statsmodels==0.15.0 && python3 generate.py
"""
import json
import math

import numpy as np
import scipy.stats as st
from statsmodels.duration.hazard_regression import PHReg
from statsmodels.duration.survfunc import CumIncidenceRight, SurvfuncRight, survdiff
from statsmodels.stats.contingency_tables import StratifiedTable
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import proportion_confint

rng = np.random.default_rng(20261125)
SOURCE = "generate.py beside this file"


def value(x):
    x = float(x)
    return None if math.isnan(x) or math.isinf(x) else x


def write(name, cases):
    with open(name + ".json", "w") as f:
        json.dump({"source": SOURCE, "cases": cases}, f, indent=1)
        f.write("\n")


cases = []
for k, n in [(0, 12), (5, 5), (3, 17), (188, 200), (1, 1)]:
    exact = proportion_confint(k, n, 0.05, method="beta")
    wilson = proportion_confint(k, n, 0.05, method="wilson")
    cases.append({"k": k, "n": n, "conf": 0.95, "clopper_pearson": [value(np.nan_to_num(exact[0])), value(exact[1] if k < n else 1)],
                  "wilson": [value(0 if k == 0 else wilson[0]), value(1 if k == n else wilson[1])]})
write("proportion_ci", cases)

write("mcnemar_exact", [{"only_a": a, "only_b": b, "mcnemar_exact_p": value(st.binomtest(a, a + b, 0.5).pvalue)}
                        for a, b in [(1, 9), (4, 4), (12, 3), (0, 1)]])

cases = []
for p in [[0.01, 0.04, 0.03, 0.2], [0.5, 0.5, 0.001], [0.9]]:
    cases.append({"p": p, "holm": list(map(value, multipletests(p, method="holm")[1])), "bh": list(map(value, multipletests(p, method="fdr_bh")[1]))})
write("p_adjust", cases)

cases = []
for n in [1, 4, 11]:
    x = rng.lognormal(3, 1, n).round(3).tolist()
    q = [0, 0.1, 0.5, 0.9, 1]
    cases.append({"x": x, "q": q, "type7": list(map(value, np.quantile(x, q)))})
write("quantiles", cases)

cases = []
for x, y in [(rng.normal(0, 1, 7), rng.normal(1, 1, 9)), (rng.integers(0, 5, 20), rng.integers(1, 6, 25))]:
    x, y = x.round(3), y.round(3)
    method = "exact" if len(set(x) | set(y)) == len(x) + len(y) else "asymptotic"
    two, greater = [st.mannwhitneyu(x, y, alternative=a, method=method, use_continuity=True) for a in ["two-sided", "greater"]]
    u, pairs = two.statistic, len(x) * len(y)
    cases.append({"x": x.tolist(), "y": y.tolist(), "method": "exact" if method == "exact" else "normal", "u": value(u), "p_two_sided": value(two.pvalue),
                  "p_greater": value(greater.pvalue), "a12": value(u / pairs), "cliffs_delta": value(2 * u / pairs - 1), "hodges_lehmann": None})
write("mann_whitney", cases)

x, y = rng.normal(0, 1, 12).round(3), rng.normal(0.4, 1, 12).round(3)
got = st.wilcoxon(x, y, method="exact")
d = x - y
v = st.rankdata(abs(d))[d > 0].sum()
write("wilcoxon_signed_rank", [{"x": x.tolist(), "y": y.tolist(), "method": "exact", "v": value(v), "p_two_sided": value(got.pvalue)}])


def delong(label, score):
    hits, quiet = score[label == 1], score[label == 0]
    above = lambda a, b: (a > b) + 0.5 * (a == b)
    v10 = np.array([np.mean([above(h, q) for q in quiet]) for h in hits])
    v01 = np.array([np.mean([above(h, q) for h in hits]) for q in quiet])
    auc = v10.mean()
    half = st.norm.ppf(0.975) * math.sqrt(v10.var(ddof=1) / len(hits) + v01.var(ddof=1) / len(quiet))
    return auc, max(0, auc - half), min(1, auc + half)


cases = []
for n in [20, 60]:
    label = (rng.random(n) < 0.4).astype(int)
    a, b = (rng.normal(0, 1, n) + label).round(2), (rng.normal(0, 1, n) + 0.5 * label).round(1)
    auc, lo, hi = delong(label, a)
    cases.append({"label": label.tolist(), "score_a": a.tolist(), "score_b": b.tolist(), "auc_a": value(auc), "auc_b": value(delong(label, b)[0]), "delong_ci95_a": [value(lo), value(hi)]})
write("roc", cases)

strata = [[12, 8, 5, 15], [30, 10, 22, 18], [4, 16, 1, 19]]
table = StratifiedTable([np.array(s).reshape(2, 2) for s in strata])
lo, hi = table.oddsratio_pooled_confint(0.05)
write("mantel_haenszel", [{"strata": strata, "or": value(table.oddsratio_pooled), "lo": value(lo), "hi": value(hi), "p": value(table.test_null_odds(correction=False).pvalue)}])


def survival(n):
    group, stratum = rng.integers(0, 2, n), rng.integers(0, 2, n)
    time = rng.exponential(10 / (1 + 0.8 * group)).round(2) + 0.01
    tau = 12.0
    event = (time < tau).astype(int)
    time = np.minimum(time, tau)
    s = SurvfuncRight(time, event)
    at, surv = s.surv_times, s.surv_prob
    z, lower, upper, errors = st.norm.ppf(0.975), [], [], []
    for p, se in zip(surv, s.surv_prob_se):
        spread = z * (se / p) / math.log(p)
        lower.append(value(p ** math.exp(-spread)))
        upper.append(value(p ** math.exp(spread)))
        errors.append(value(se))
    first = lambda curve: next((t for t, p in zip(at, curve) if p is not None and p <= 0.5), float("nan"))
    steps = np.concatenate([[0], at, [tau]])
    area = float(np.sum(np.diff(steps) * np.concatenate([[1], surv])))
    left = [area - float(np.sum(np.diff(steps)[: i + 1] * np.concatenate([[1], surv])[: i + 1])) for i in range(len(at))]
    deaths = [int(((time == t) & (event == 1)).sum()) for t in at]
    risk = [int((time >= t).sum()) for t in at]
    se = math.sqrt(sum(a * a * d / (r * (r - d)) for a, d, r in zip(left, deaths, risk)))
    chi, p = survdiff(time, event, group)
    stratified, _ = survdiff(time, event, group, strata=stratum)
    fit = PHReg(time, group[:, None], status=event, ties="efron").fit(disp=0)
    ends = fit.conf_int()[0]
    return {"time": time.tolist(), "event": event.tolist(), "group": group.tolist(), "stratum": stratum.tolist(),
            "all_km": {"times": at.tolist(), "surv": list(map(value, surv)), "lower95_loglog": lower, "upper95_loglog": upper, "std_err": errors},
            "median": value(first(surv)), "median_lo": value(first(lower)), "median_hi": value(first(upper)), "rmst": value(area), "rmst_se": value(se), "rmst_tau": tau,
            "logrank_chisq": value(chi), "logrank_p": value(p), "strat_logrank_chisq": value(stratified),
            "cox_hr": value(math.exp(fit.params[0])), "cox_lo": value(math.exp(ends[0])), "cox_hi": value(math.exp(ends[1]))}


write("survival", [survival(31), survival(81)])

n = 40
time, event = rng.exponential(8, n).round(2) + 0.01, rng.integers(0, 3, n)
names = ["censored", "detected", "objective"]
cif = CumIncidenceRight(time, event)
at = [1.0, 4.0, 8.0, 15.0]
step = lambda curve, t: value(next((c for s, c in reversed(list(zip(cif.times, curve))) if s <= t), 0.0))
write("competing_risks", [{"time": time.tolist(), "event": [names[e] for e in event], "at": at,
                           "cif_detected": [step(cif.cinc[0], t) for t in at], "cif_objective": [step(cif.cinc[1], t) for t in at]}])
