#!/usr/bin/env python3
"""What attacks on detectors, models, feeds and people cost a defence, what guards give back, and what
guards cost on ordinary days, as a table in Markdown.

Each attack is run with and without it, then with its guard, then the guard without any attack; every
comparison is of PAIRS days that both sides share, by `hemostat compare`. Needs Python 3.9 or later
and hemostat on the path.

    python3 measure.py --pairs 200 --seed 1 --out table.md
"""
import argparse
import json
import math
import os
import sqlite3
import subprocess

# What stands against attackers who know rules: detectors that learn, beside them.
BESIDE = ["detectors=[reflex, sigma, encrypted, {name: behavior, options: {false_alarms: 0.01}}]", "baseline=baseline.json.gz"]

# defence (a file beside this one), attack, guard (settings of the defence), and the measure by
# which the guard is judged
CASES = [
    ("learning", "{method: mimicry}", ["guard={agreement: 0.7}"], "steps_found"),
    ("learning", "{method: rhythm_search}", ["guard={vary: 0.1, agreement: 0.7}"], "contained"),
    ("learning", "{method: rhythm_search, access: scores}", ["guard={vary: 0.1, agreement: 0.7}"], "contained"),
    ("learning", "{method: poisoning}", ["guard={delay: 24h, influence: 1}"], "steps_found"),
    ("learning", "{method: tampering}", ["guard={canaries: 2h, drift: 0.2}"], "steps_found"),
    ("rules", "{method: mimicry}", BESIDE, "steps_found"),
    ("rules", "{method: extraction}", BESIDE, "steps_found"),
    ("rules", "{method: link_breaking}", ["fusion.correlation.threshold=0.2"], "join_recall"),
    ("rules", "{method: chaff, rate: 30}", ["guard={alert_rate: 1}"], "approval_wait"),
    ("feeds", "{method: false_indicators}", ["guard={feeds: 5}"], "collateral_user_seconds"),
    ("model", "{method: injection}", ["guard={injection: true}"], "steps_found"),
    ("model", "{method: injection, where: stored}", ["guard={injection: true}"], "steps_found"),
    ("model", "{method: injection, where: retrieved}", ["guard={injection: true}"], "steps_found"),
    ("model", "{method: injection, where: retrieved, disguise: base64}", ["guard={injection: true}"], "steps_found"),
]

# what is shown: name, factor, unit
SHOWN = {
    "steps_found": (100, "points of steps found"),
    "detected": (100, "points detected"),
    "contained": (100, "points contained"),
    "time_to_detect": (1 / 60e9, "min to detect"),
    "time_to_contain": (1 / 60e9, "min to contain"),
    "approval_wait": (1 / 60, "min of waiting for people"),
    "alerts_to_people": (1, "alerts to people"),
    "alerts_false_to_people": (1, "false alarms to people"),
    "collateral_user_seconds": (1 / 3600, "h of users' work"),
    "join_recall": (100, "points of alerts joined"),
    "score": (1, "points of score"),
}
HERE = os.path.dirname(os.path.abspath(__file__))


def hemostat(*args: str) -> str:
    return subprocess.run(["hemostat", *args], check=True, capture_output=True, text=True).stdout


def run(out: str, scenario: str, defence: str, settings: list[str], pairs: int, seed: int) -> str:
    """Run an arm, or go on with it, and return its database."""
    name = "_".join([scenario, defence, *settings])
    db = os.path.join(out, "".join(c if c.isalnum() else "-" for c in name) + ".db")
    command = ["run", os.path.join(HERE, scenario + ".yaml"), "--variant", os.path.join(out, defence + ".yaml"), "--trials", str(pairs),
               "--seed", str(seed), "--db", db]
    if os.path.exists(db):
        command.append("--resume")
    for s in settings:
        command += ["--set", s]
    hemostat(*command)
    return db


def variant(db: str) -> str:
    return sqlite3.connect(db).execute("SELECT DISTINCT variant FROM trials").fetchone()[0]


def steps_found(db: str) -> dict[int, float]:
    return dict(sqlite3.connect(db).execute(
        "SELECT trial_index, avg(detected_at IS NOT NULL) FROM steps JOIN trials USING (trial_id) GROUP BY trial_index"))


def compare(before: str, after: str) -> dict[str, tuple[float, float, float, float]]:
    """Differences by metric: estimate, lower and upper end of the 95 % interval, adjusted p-value."""
    text = hemostat("compare", "--json", "--db", before, "--baseline", variant(before), "--against", after, "--candidate", variant(after))
    out = {}
    for row in json.loads(text)["rows"]:
        if row["metric"] in SHOWN and row["scenario"] != "*" and row.get("difference") is not None:
            out[row["metric"]] = (row["difference"], row["lo"], row["hi"], row["p_adjusted"])
    a, b = steps_found(before), steps_found(after)
    both = sorted(a.keys() & b.keys())
    if len(both) > 1:
        d = [b[i] - a[i] for i in both]
        mean = sum(d) / len(d)
        se = math.sqrt(sum((x - mean) ** 2 for x in d) / (len(d) - 1) / len(d))
        p = math.erfc(abs(mean) / se / math.sqrt(2)) if se > 0 else 1.0
        out["steps_found"] = (mean, mean - 1.96 * se, mean + 1.96 * se, p)
    return out


def cell(differences: dict, main: str) -> str:
    """The main measure, and the others that differ beyond chance."""
    parts = []
    for name in [main] + [n for n in SHOWN if n != main]:
        if name not in differences:
            continue
        d, lo, hi, p = differences[name]
        if name != main and p >= 0.01:
            continue
        factor, unit = SHOWN[name]
        text = f"{d * factor:+.1f} [{lo * factor:.1f}, {hi * factor:.1f}] {unit}"
        parts.append(text if p < 0.05 else text + " ~")
    return "; ".join(parts) or "none"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--pairs", type=int, default=200)
    arguments.add_argument("--seed", type=int, default=1)
    arguments.add_argument("--days", type=int, default=6, help="days of training")
    arguments.add_argument("--out", default="table.md")
    arguments.add_argument("--folder", default="adversarial-runs", help="where databases go")
    arguments.add_argument("--only", default="", help="cases whose attack holds this text")
    o = arguments.parse_args()
    os.makedirs(o.folder, exist_ok=True)
    for name in sorted({c[0] for c in CASES}):
        with open(os.path.join(HERE, name + ".yaml"), encoding="utf-8") as f:
            text = f.read()
        with open(os.path.join(o.folder, name + ".yaml"), "w", encoding="utf-8") as f:
            f.write(text)
    baseline = os.path.join(o.folder, "baseline.json.gz")
    if not os.path.exists(baseline):
        untrained = os.path.join(o.folder, "untrained.yaml")
        with open(os.path.join(o.folder, "learning.yaml"), encoding="utf-8") as f:
            lines = [line for line in f if not line.startswith("baseline")]
        with open(untrained, "w", encoding="utf-8") as f:
            f.writelines(lines)
        hemostat("train", os.path.join(HERE, "quiet.yaml"), "--variant", untrained, "--days", str(o.days), "--seed", "700", "-o", baseline)
    lines = ["| defence | attack | what it costs the defence | guard | what that gives back | what the guard costs on days without attack |",
             "|---|---|---|---|---|---|"]
    for defence, attack, guard, measure in CASES:
        if o.only not in attack:
            continue
        evasion = f"attackers[0].evasion=[{attack}]"
        arms = {key: run(o.folder, scenario, defence, settings, o.pairs, o.seed) for key, scenario, settings in [
            ("plain", "intrusion", []), ("attacked", "intrusion", [evasion]), ("guarded", "intrusion", [evasion, *guard]),
            ("quiet", "quiet", []), ("quiet guarded", "quiet", guard)]}
        lines.append("| " + " | ".join([
            defence, f"`{attack}`", cell(compare(arms["plain"], arms["attacked"]), measure), "detectors that learn, beside" if guard is BESIDE else f"`{guard[0]}`",
            cell(compare(arms["attacked"], arms["guarded"]), measure),
            cell(compare(arms["quiet"], arms["quiet guarded"]), "alerts_false_to_people")]) + " |")
        print(lines[-1], flush=True)
    with open(o.out, "w", encoding="utf-8") as f:
        f.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
