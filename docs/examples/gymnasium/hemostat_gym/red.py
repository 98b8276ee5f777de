"""An attacker as a Gymnasium environment."""

from __future__ import annotations

from typing import Any, Optional, Sequence

import gymnasium
import numpy as np
from gymnasium import spaces

from .connection import Connection

Message = dict[str, Any]

NUMBERS = 12
"""Numbers of an observation."""

TECHNIQUES = 256
"""Room for techniques; numbers beyond those of the library stand for nothing."""

WAIT = 600 * 10**9
"""How long action 0 waits, in nanoseconds."""


def numbers(red: Message, now: int, horizon: int) -> np.ndarray:
    """What an attacker knows as numbers from 0 to 1."""
    usable = [f for f in red["footholds"] if f["usable"]]
    working = [c for c in red["credentials"] if not c["refused"]]
    failed = sum(not s["succeeded"] for s in red["steps"])
    return np.asarray(
        [
            now / horizon,
            red["progress"],
            _squash(len(usable)),
            float(any(f["elevated"] for f in usable)),
            _squash(len(red["footholds"]) - len(usable)),
            _squash(len(red["known"])),
            _squash(len(working)),
            float(any(c["privilege"] == "domain_admin" for c in working)),
            _squash(len(red["persistent"])),
            _squash(red["staged_bytes"] / 1e9),
            _squash(failed),
            float(red["due"]),
        ],
        dtype=np.float32,
    )


def choice(action: int, techniques: Sequence[str]) -> Optional[Message]:
    """The decision that a number stands for: 0 to wait, and then each technique."""
    if action == 0 or action > len(techniques):
        return {"wait_ns": WAIT}
    return {"technique": techniques[action - 1]}


def mask(red: Message, techniques: Sequence[str]) -> np.ndarray:
    """Which numbers stand for something that can be done now."""
    able = np.zeros(1 + TECHNIQUES, dtype=np.int8)
    able[0] = 1
    ready = set(red["techniques"])
    for i, technique in enumerate(techniques):
        able[1 + i] = technique in ready
    return able


class RedEnv(gymnasium.Env[np.ndarray, np.int64]):
    """Chooses an attacker's next technique each time that one has ended.

    An observation is ``NUMBERS`` numbers from 0 to 1, an action 0 for a wait or the number of a
    technique of the library. The reward is the harm of the step in points of the score.
    """

    metadata: dict[str, Any] = {"render_modes": []}

    def __init__(
        self,
        scenarios: Sequence[str] = ("lateral-movement",),
        options: Sequence[str] = ("--set", "background.rate=0.1"),
        name: str = "agent",
        version: str = "0",
        render_mode: Optional[str] = None,
    ) -> None:
        self.render_mode = render_mode
        self.observation_space = spaces.Box(0.0, 1.0, (NUMBERS,), np.float32)
        self.action_space = spaces.Discrete(1 + TECHNIQUES)
        self._connection = Connection("red", scenarios, options, name, version)
        self._techniques: list[str] = []
        self._able = np.zeros(1 + TECHNIQUES, dtype=np.int8)

    def reset(
        self, *, seed: Optional[int] = None, options: Optional[Message] = None
    ) -> tuple[np.ndarray, Message]:
        super().reset(seed=seed)
        chosen = options or {}
        day = chosen.get("seed", int(self.np_random.integers(2**31)))
        answer = self._connection.reset(day, chosen.get("index", 0), chosen.get("scenario", ""))
        self._techniques = [t["id"] for t in answer["techniques"]]
        return self._seen(answer), self._info(answer)

    def step(self, action: np.int64) -> tuple[np.ndarray, float, bool, bool, Message]:
        answer = self._connection.step(choice=choice(int(action), self._techniques))
        return self._seen(answer), answer["red"].get("reward", 0.0), answer["done"], False, self._info(answer)

    def action_masks(self) -> np.ndarray:
        """Which actions stand for something, as sb3-contrib's MaskablePPO asks for it."""
        return self._able.astype(bool)

    def _seen(self, answer: Message) -> np.ndarray:
        self._able = mask(answer["red"], self._techniques)
        return numbers(answer["red"], answer["now_ns"], answer["horizon_ns"])

    def _info(self, answer: Message) -> Message:
        info: Message = {"message": answer, "action_mask": self._able}
        if "result" in answer:
            info["result"] = answer["result"]
        return info

    def close(self) -> None:
        self._connection.close()


def _squash(n: float) -> float:
    return n / (n + 3.0)
