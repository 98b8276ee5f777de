"""Environments of hemostat for reinforcement learning.

``BlueEnv`` decides for the defence, ``RedEnv`` for an attacker; both are Gymnasium
environments. ``duel.parallel_env`` is a PettingZoo environment in which one agent each decides
for either side. ``Connection`` speaks the protocol of ``hemostat env`` for everything else,
such as a language model with tools.
"""

from gymnasium.envs.registration import register

from .blue import BlueEnv
from .connection import Connection, HemostatError
from .red import RedEnv

__all__ = ["BlueEnv", "Connection", "HemostatError", "RedEnv"]

register(id="Hemostat/Blue-v1", entry_point="hemostat_gym.blue:BlueEnv")
register(id="Hemostat/Red-v1", entry_point="hemostat_gym.red:RedEnv")
