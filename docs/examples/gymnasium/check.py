"""Holds the environments against the checkers of Gymnasium, PettingZoo and, where it is
installed, stable-baselines3."""

import importlib.util

import gymnasium
from gymnasium.utils.env_checker import check_env

import hemostat_gym

for environment in ("Hemostat/Blue-v1", "Hemostat/Red-v1"):
    env = gymnasium.make(environment)
    check_env(env.unwrapped, skip_render_check=True)
    env.close()
    print(environment, "keeps to Gymnasium's interface")

if importlib.util.find_spec("pettingzoo"):
    from pettingzoo.test import parallel_api_test

    from hemostat_gym import duel

    both = duel.parallel_env()
    parallel_api_test(both, num_cycles=400)
    both.close()
    print("duel keeps to PettingZoo's interface")

if importlib.util.find_spec("stable_baselines3"):
    from stable_baselines3.common.env_checker import check_env as check_sb3

    blue = hemostat_gym.BlueEnv()
    check_sb3(blue)
    blue.close()
    print("Hemostat/Blue-v1 keeps to stable-baselines3's")
