"""A policy as the agent of a variant: hemostat starts the program and asks it.

    # variant.yaml
    name: trained
    playbooks: none
    agent: {name: trained, command: [python3, policy.py], files: [policy.py, policy.npz], step: 2m}
"""

from __future__ import annotations

import json
import sys
from typing import Any, Callable, Optional

import numpy as np

from .view import View

Policy = Callable[[np.ndarray, np.ndarray], int]


def serve(policy: Policy, name: str, version: str) -> None:
    """Answers hemostat's questions with the policy until it says bye. The policy gets the numbers
    and the mask of ``BlueEnv`` and returns an action; it must draw nothing at random."""
    view: Optional[View] = None
    for line in sys.stdin:
        message: dict[str, Any] = json.loads(line)
        kind = message["type"]
        if kind == "hello":
            answer: dict[str, Any] = {"type": "ready", "name": name, "version": version}
        elif kind == "trial":
            view = None
            continue
        elif kind == "observation":
            if view is None:
                view = View(message)
            else:
                view.update(message)
            action = policy(view.numbers(message["now_ns"]), view.possible())
            answer = {"type": "step", "actions": view.decide(action)}
        elif kind == "bye":
            return
        else:
            continue
        print(json.dumps(answer), flush=True)
