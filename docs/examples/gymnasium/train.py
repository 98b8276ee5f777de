"""Trains a small policy for the defence by the cross-entropy method, in minutes on two cores.

The policy is linear: every move has a weight for each number of an incident, the move with the
highest sum is made, and nothing is done where no sum is above 0. In each round some candidates
play the same days, and the next candidates are drawn around the best of them. The days of a round
are few and a lost one costs much, so that the last means play further days at the end, and the best
of them is taken.

    python train.py --scenarios web-shell --rounds 12 -o policy.npz

What follows -- are options of hemostat env, such as -- --set background.rate=0.1 --step 2m.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from typing import Optional, Sequence

import numpy as np

from hemostat_gym import BlueEnv
from hemostat_gym.connection import parse_arguments
from hemostat_gym.view import FEATURES, GLOBALS, MOVES, SLOTS

SIZE = len(MOVES) * (FEATURES + 1)


def act(weights: np.ndarray, observation: np.ndarray, possible: np.ndarray) -> int:
    """The action of the linear policy with these weights."""
    table = weights.reshape(len(MOVES), FEATURES + 1)
    slots = observation[GLOBALS:].reshape(SLOTS, FEATURES)
    sums = slots @ table[:, :-1].T + table[:, -1]
    sums = np.where(possible[1:].reshape(SLOTS, len(MOVES)) > 0, sums, -np.inf)
    best = int(np.argmax(sums))
    return 1 + best if sums.flat[best] > 0 else 0


_env: Optional[BlueEnv] = None


def _begin(scenarios: Sequence[str], options: Sequence[str]) -> None:
    global _env
    _env = BlueEnv(scenarios, options)


def _play(task: tuple[np.ndarray, int, int]) -> float:
    """The score that weights reach on a day."""
    weights, seed, index = task
    assert _env is not None
    observation, info = _env.reset(options={"seed": seed, "index": index})
    total, done = 100.0, False
    while not done:
        observation, reward, done, _, info = _env.step(act(weights, observation, info["action_mask"]))
        total += reward
    return total


LAST = 4
"""So many means are compared at the end."""


def train(
    scenarios: Sequence[str], options: Sequence[str], rounds: int, days: int, candidates: int, seed: int, workers: int
) -> np.ndarray:
    """The best of the means of the last rounds."""
    rng = np.random.default_rng(seed)
    mean, spread = np.zeros(SIZE), np.full(SIZE, 1.0)
    mean.reshape(len(MOVES), FEATURES + 1)[:, -1] = -1  # at first little is done
    began, means = time.monotonic(), []
    with multiprocessing.Pool(workers, _begin, (scenarios, options)) as pool:
        for number in range(rounds):
            drawn = mean + spread * rng.standard_normal((candidates, SIZE))
            drawn[0] = mean
            first = number * days
            tasks = [(w, seed, first + day) for w in drawn for day in range(days)]
            scores = np.asarray(pool.map(_play, tasks, chunksize=1)).reshape(candidates, days).mean(axis=1)
            best = drawn[np.argsort(-scores)[: max(2, candidates // 4)]]
            mean, spread = best.mean(axis=0), best.std(axis=0) + 0.05
            means.append(mean)
            print(
                f"round {number + 1} of {rounds}: the mean scores {scores[0]:.1f}, the best {scores.max():.1f}, "
                f"all {scores.mean():.1f}; {time.monotonic() - began:.0f} s",
                flush=True,
            )
        means, further = means[-LAST:], 5 * days
        tasks = [(w, seed, rounds * days + day) for w in means for day in range(further)]
        scores = np.asarray(pool.map(_play, tasks, chunksize=1)).reshape(len(means), further).mean(axis=1)
    print(f"over {further} further days the best of the last means scores {scores.max():.1f}; {time.monotonic() - began:.0f} s")
    return means[int(np.argmax(scores))]


def main() -> None:
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--scenarios", nargs="+", default=["web-shell"])
    p.add_argument("--rounds", type=int, default=12)
    p.add_argument("--days", type=int, default=4, help="that each candidate plays in a round")
    p.add_argument("--candidates", type=int, default=24)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--workers", type=int, default=2)
    p.add_argument("-o", "--output", default="policy.npz")
    a = parse_arguments(p, ["--set=background.rate=0.1", "--step=2m"])
    weights = train(a.scenarios, a.options, a.rounds, a.days, a.candidates, a.seed, a.workers)
    np.savez(a.output, weights=weights)
    print(f"the policy stands in {a.output}")


if __name__ == "__main__":
    main()
