"""Plays days with a trained policy, or at random, and records them for hemostat compare.

    python evaluate.py random --days 40 --seed 9 --db agents.db
    python evaluate.py policy.npz --days 40 --seed 9 --db agents.db
"""

from __future__ import annotations

import argparse
import hashlib
import itertools

import numpy as np

from hemostat_gym import BlueEnv
from hemostat_gym.connection import parse_arguments
from train import act


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("policy", help="file of train.py, or random")
    p.add_argument("--scenarios", nargs="+", default=["web-shell"])
    p.add_argument("--days", type=int, default=20, help="of each scenario")
    p.add_argument("--seed", type=int, default=9)
    p.add_argument("--db", default="agents.db")
    a = parse_arguments(p, ["--set=background.rate=0.1", "--step=2m"])
    weights, name, version = None, "random", "1"
    if a.policy != "random":
        weights, name = np.load(a.policy)["weights"], "trained"
        version = hashlib.sha256(weights.tobytes()).hexdigest()[:12]
    env = BlueEnv(a.scenarios, [*a.options, "--db", a.db], name, version)
    rng = np.random.default_rng(a.seed)
    scores = []
    for scenario, day in itertools.product(a.scenarios, range(a.days)):
        observation, info = env.reset(options={"seed": a.seed, "index": day, "scenario": scenario})
        done = False
        while not done:
            possible = info["action_mask"]
            action = act(weights, observation, possible) if weights is not None else rng.choice(np.flatnonzero(possible))
            observation, _, done, _, info = env.step(action)
        scores.append(info["result"]["score"])
    env.close()
    print(f"{name}: mean score {np.mean(scores):.1f} over {len(scores)} days")


if __name__ == "__main__":
    main()
