"""Defence and attacker as a PettingZoo environment: both decide at the same times."""

from __future__ import annotations

from typing import Any, Optional, Sequence

import numpy as np
from gymnasium import spaces
from gymnasium.utils import seeding
from pettingzoo import ParallelEnv

from . import red as attacker
from .connection import Connection
from .view import FEATURES, GLOBALS, MOVES, SLOTS, View

Message = dict[str, Any]


class parallel_env(ParallelEnv):
    """``blue`` decides as in ``BlueEnv``, ``red`` as in ``RedEnv``. While a step of red goes on,
    what red decides is passed over."""

    metadata = {"name": "hemostat_duel_v1", "render_modes": []}

    def __init__(
        self,
        scenarios: Sequence[str] = ("lateral-movement",),
        options: Sequence[str] = ("--set", "background.rate=0.1"),
        name: str = "agents",
        version: str = "0",
        render_mode: Optional[str] = None,
    ) -> None:
        self.render_mode = render_mode
        self.possible_agents = ["blue", "red"]
        self.agents: list[str] = []
        self.observation_spaces = {
            "blue": spaces.Box(0.0, 1.0, (GLOBALS + SLOTS * FEATURES,), np.float32),
            "red": spaces.Box(0.0, 1.0, (attacker.NUMBERS,), np.float32),
        }
        self.action_spaces = {
            "blue": spaces.Discrete(1 + SLOTS * len(MOVES)),
            "red": spaces.Discrete(1 + attacker.TECHNIQUES),
        }
        self._connection = Connection("both", scenarios, options, name, version)
        self._random, _ = seeding.np_random(None)
        self._view: Optional[View] = None
        self._techniques: list[str] = []
        self._due = False

    def observation_space(self, agent: str) -> spaces.Space:
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> spaces.Space:
        return self.action_spaces[agent]

    def reset(
        self, seed: Optional[int] = None, options: Optional[Message] = None
    ) -> tuple[dict[str, np.ndarray], dict[str, Message]]:
        if seed is not None:
            self._random, _ = seeding.np_random(seed)
        chosen = options or {}
        day = chosen.get("seed", int(self._random.integers(2**31)))
        answer = self._connection.reset(day, chosen.get("index", 0), chosen.get("scenario", ""))
        self.agents = list(self.possible_agents)
        self._view = View(answer)
        self._techniques = [t["id"] for t in answer["techniques"]]
        return self._seen(answer), self._infos(answer)

    def step(self, actions: dict[str, int]) -> tuple[
        dict[str, np.ndarray], dict[str, float], dict[str, bool], dict[str, bool], dict[str, Message]
    ]:
        assert self._view is not None, "reset comes first"
        decisions: Message = {"actions": self._view.decide(int(actions["blue"]))}
        if self._due:
            decisions["choice"] = attacker.choice(int(actions["red"]), self._techniques)
        answer = self._connection.step(**decisions)
        self._view.update(answer)
        observations, infos = self._seen(answer), self._infos(answer)
        rewards = {side: answer[side].get("reward", 0.0) for side in self.agents}
        ended = {side: answer["done"] for side in self.agents}
        truncated = {side: False for side in self.agents}
        if answer["done"]:
            self.agents = []
        return observations, rewards, ended, truncated, infos

    def _seen(self, answer: Message) -> dict[str, np.ndarray]:
        assert self._view is not None
        self._due = answer["red"]["due"]
        now, horizon = answer["now_ns"], answer["horizon_ns"]
        return {"blue": self._view.numbers(now), "red": attacker.numbers(answer["red"], now, horizon)}

    def _infos(self, answer: Message) -> dict[str, Message]:
        assert self._view is not None
        return {
            "blue": {"message": answer["blue"], "action_mask": self._view.possible()},
            "red": {"message": answer["red"], "action_mask": attacker.mask(answer["red"], self._techniques)},
        }

    def close(self) -> None:
        self._connection.close()
