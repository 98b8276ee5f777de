"""What the defence has seen so far, as numbers.

hemostat tells what is new at each step; this keeps what is open: incidents, what is in force for
them, and what people are asked about them.
"""

from __future__ import annotations

import math
from typing import Any, Optional

import numpy as np

Message = dict[str, Any]

SLOTS = 5
"""So many open incidents are shown, the most serious first."""

MOVES = ("isolate", "block_source", "block_egress", "disable_account", "kill_process", "quarantine", "undo")
"""What can be done about an incident of a slot."""

FEATURES = 16
"""Numbers of a slot."""

GLOBALS = 4
"""Numbers beside those of the slots."""

_RANK = {"informational": 0.0, "low": 0.25, "medium": 0.5, "high": 0.75, "critical": 1.0}
_HOUR = 3600e9
_TARGETS = {
    "isolate": ("isolate_host", "host", "hosts"),
    "block_source": ("block_ip", "source_ip", "sources"),
    "block_egress": ("block_egress", "host", "hosts"),
    "disable_account": ("disable_account", "user", "accounts"),
    "kill_process": ("kill_malicious_process", "host", "hosts"),
    "quarantine": ("quarantine_files", "host", "hosts"),
}


class View:
    """What the defence knows at a time of a trial."""

    def __init__(self, first: Message) -> None:
        self.horizon = first["horizon_ns"]
        self.incidents: dict[int, Message] = {}
        self.in_force: dict[int, Message] = {}
        self.asked: dict[int, Message] = {}
        self.worst: dict[tuple[int, str], float] = {}
        self.done: set[tuple[str, str]] = set()
        self.latest: Message = {}
        self.update(first)

    def update(self, answer: Message) -> None:
        """Takes in an observation."""
        blue = answer["blue"]
        self.latest = blue
        for a in blue["alerts"]:
            if a.get("host"):
                key = (a["incident"], a["host"])
                self.worst[key] = max(self.worst.get(key, 0.0), _RANK[a["severity"]])
        for incident in blue["incidents"]:
            if incident["status"] == "open":
                self.incidents[incident["id"]] = incident
            else:
                self.incidents.pop(incident["id"], None)
        for action in blue["actions"]:
            key = (action["kind"], action["target"])
            if action["in_force"]:
                self.in_force[action["id"]] = action
            else:
                self.in_force.pop(action["id"], None)
            if action["status"] in ("pending", "succeeded") and action["undone_ns"] is None:
                self.done.add(key)
            else:
                self.done.discard(key)
        for approval in blue["approvals"]:
            key = (approval["kind"], approval["target"])
            if approval["outcome"] == "pending":
                self.asked[approval["id"]] = approval
                self.done.add(key)
            else:
                self.asked.pop(approval["id"], None)
                if approval["outcome"] != "approved":
                    self.done.discard(key)

    def slots(self) -> list[Message]:
        """The open incidents that are shown, the most serious first."""

        def order(incident: Message) -> tuple[float, float, int, int]:
            return (-_RANK[incident["severity"]], -incident["score"], -incident["last_ns"], incident["id"])

        return sorted(self.incidents.values(), key=order)[:SLOTS]

    def target(self, incident: Message, move: str) -> Optional[str]:
        """What a move is aimed at: the newest of the incident that is not dealt with yet. Hosts
        come in the order of their worst alert."""
        kind, _, names = _TARGETS[move]
        candidates = [name for name in reversed(incident[names]) if (kind, name) not in self.done]
        if names == "hosts":
            candidates.sort(key=lambda name: -self.worst.get((incident["id"], name), 0.0))
        return candidates[0] if candidates else None

    def decide(self, action: int) -> list[Message]:
        """The decisions that a number stands for: 0 for none, and then each move of each slot."""
        if action == 0:
            return []
        slot, move = divmod(action - 1, len(MOVES))
        slots = self.slots()
        if slot >= len(slots):
            return []
        incident = slots[slot]
        if MOVES[move] == "undo":
            return [{"undo": a["id"]} for a in self.in_force.values() if a["incident"] == incident["id"]]
        target = self.target(incident, MOVES[move])
        if target is None:
            return []
        kind, parameter, _ = _TARGETS[MOVES[move]]
        return [{"kind": kind, "params": {parameter: target}, "incident": incident["id"]}]

    def possible(self) -> np.ndarray:
        """Which numbers stand for something now."""
        mask = np.zeros(1 + SLOTS * len(MOVES), dtype=np.int8)
        mask[0] = 1
        for slot, incident in enumerate(self.slots()):
            for move, name in enumerate(MOVES):
                if name == "undo":
                    able = any(a["incident"] == incident["id"] for a in self.in_force.values())
                else:
                    able = self.target(incident, name) is not None
                mask[1 + slot * len(MOVES) + move] = able
        return mask

    def numbers(self, now: int) -> np.ndarray:
        """The view as numbers from 0 to 1."""
        budget = self.latest["budget"]
        out = [
            now / self.horizon,
            _squash(budget["actions_in_force"]),
            _squash(budget["approvals_open"]),
            min(1.0, budget["cut_off"]),
        ]
        for incident in self.slots():
            out += self._incident(incident, now)
        out += [0.0] * (GLOBALS + SLOTS * FEATURES - len(out))
        return np.asarray(out, dtype=np.float32)

    def _incident(self, incident: Message, now: int) -> list[float]:
        number = incident["id"]
        mine = [a for a in self.in_force.values() if a["incident"] == number]
        kinds = {a["kind"] for a in mine}
        waits = sum(a["incident"] == number for a in self.asked.values())
        ready = [float(self.target(incident, move) is not None) for move in ("isolate", "block_source", "disable_account")]
        return [
            1.0,
            _RANK[incident["severity"]],
            incident["score"],
            _squash(incident["alerts"]),
            _squash(len(incident["hosts"])),
            _squash(len(incident["accounts"])),
            _squash(len(incident["sources"])),
            _squash(len(incident["techniques"])),
            math.exp(-(now - incident["last_ns"]) / _HOUR),
            math.exp(-(now - incident["first_ns"]) / _HOUR),
            float("isolate_host" in kinds),
            _squash(len(mine)),
            _squash(waits),
            *ready,
        ]


def _squash(n: float) -> float:
    """A count as a number from 0 to 1."""
    return n / (n + 3.0)
