"""The defence as a Gymnasium environment."""

from __future__ import annotations

from typing import Any, Optional, Sequence

import gymnasium
import numpy as np
from gymnasium import spaces

from .connection import Connection
from .view import FEATURES, GLOBALS, MOVES, SLOTS, View

Message = dict[str, Any]


class BlueEnv(gymnasium.Env[np.ndarray, np.int64]):
    """Decides about the most serious open incidents.

    An observation is ``GLOBALS + SLOTS * FEATURES`` numbers from 0 to 1, an action 0 for nothing
    or a move for the incident of a slot (``view.MOVES``). The reward is by how much the trial's
    score has fallen in the step. ``info["message"]`` is hemostat's own observation,
    ``info["action_mask"]`` which actions stand for something.

    The first seed is drawn from the one given to ``reset``; ``options`` of ``reset`` may name
    the ``seed``, ``index`` and ``scenario`` of a trial.
    """

    metadata: dict[str, Any] = {"render_modes": []}

    def __init__(
        self,
        scenarios: Sequence[str] = ("web-shell",),
        options: Sequence[str] = ("--set", "background.rate=0.1"),
        name: str = "agent",
        version: str = "0",
        render_mode: Optional[str] = None,
    ) -> None:
        self.render_mode = render_mode
        self.observation_space = spaces.Box(0.0, 1.0, (GLOBALS + SLOTS * FEATURES,), np.float32)
        self.action_space = spaces.Discrete(1 + SLOTS * len(MOVES))
        self._connection = Connection("blue", scenarios, options, name, version)
        self._view: Optional[View] = None

    def reset(
        self, *, seed: Optional[int] = None, options: Optional[Message] = None
    ) -> tuple[np.ndarray, Message]:
        super().reset(seed=seed)
        chosen = options or {}
        day = chosen.get("seed", int(self.np_random.integers(2**31)))
        answer = self._connection.reset(day, chosen.get("index", 0), chosen.get("scenario", ""))
        self._view = View(answer)
        return self._view.numbers(answer["now_ns"]), self._info(answer)

    def step(self, action: np.int64) -> tuple[np.ndarray, float, bool, bool, Message]:
        assert self._view is not None, "reset comes first"
        answer = self._connection.step(actions=self._view.decide(int(action)))
        self._view.update(answer)
        observation = self._view.numbers(answer["now_ns"])
        return observation, answer["blue"].get("reward", 0.0), answer["done"], False, self._info(answer)

    def action_masks(self) -> np.ndarray:
        """Which actions stand for something, as sb3-contrib's MaskablePPO asks for it."""
        assert self._view is not None, "reset comes first"
        return self._view.possible().astype(bool)

    def _info(self, answer: Message) -> Message:
        assert self._view is not None
        info: Message = {"message": answer, "action_mask": self._view.possible()}
        if "result" in answer:
            info["result"] = answer["result"]
        return info

    def close(self) -> None:
        self._connection.close()
