"""The protocol of ``hemostat env`` over standard streams: one JSON object a line each way."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from typing import Any, Optional, Sequence

Message = dict[str, Any]


def parse_arguments(parser: argparse.ArgumentParser, usual: Sequence[str]) -> argparse.Namespace:
    """Parses a script's arguments; what follows ``--`` are options of ``hemostat env``, those of
    ``usual`` where nothing does."""
    given = sys.argv[1:]
    at = given.index("--") if "--" in given else len(given)
    parsed = parser.parse_args(given[:at])
    parsed.options = given[at + 1 :] or list(usual)
    return parsed


class HemostatError(RuntimeError):
    """A message that hemostat could not take, or a session that ended."""


class Connection:
    """One session with a hemostat process.

    ``scenarios`` are names or files, all embedded ones when empty. ``options`` are further
    arguments of ``hemostat env``, such as ``["--set", "background.rate=0.1"]``. The program is
    ``$HEMOSTAT`` or ``hemostat`` on the path. ``name`` and ``version`` say who plays, for
    results that are recorded with ``--db``.
    """

    def __init__(
        self,
        side: str,
        scenarios: Sequence[str] = (),
        options: Sequence[str] = (),
        name: str = "agent",
        version: str = "0",
    ) -> None:
        program = os.environ.get("HEMOSTAT", "hemostat")
        self._process = subprocess.Popen(
            [program, "env", *scenarios, "--side", side, *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.ready = self.ask({"type": "hello", "protocol": 1, "agent": name, "version": version})

    def ask(self, message: Message) -> Message:
        """Sends a message and returns the answer; an error in the answer is raised."""
        process = self._process
        assert process.stdin is not None and process.stdout is not None
        line = b""
        try:
            process.stdin.write(json.dumps(message).encode() + b"\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except (BrokenPipeError, ValueError):
            pass
        if not line:
            raise HemostatError("hemostat has ended: " + self._complaint())
        answer: Message = json.loads(line)
        if answer["type"] == "error":
            raise HemostatError(answer["error"])
        return answer

    def reset(self, seed: Optional[int] = None, index: Optional[int] = None, scenario: str = "") -> Message:
        """Begins a trial. The seed and the index name the simulated day."""
        message: Message = {"type": "reset", "scenario": scenario}
        if seed is not None:
            message["seed"] = seed
        if index is not None:
            message["index"] = index
        return self.ask(message)

    def step(self, **decisions: Any) -> Message:
        """Decides: ``actions`` for blue, ``choice`` for red."""
        return self.ask({"type": "step", **decisions})

    def _complaint(self) -> str:
        assert self._process.stderr is not None
        self._process.wait()
        return self._process.stderr.read().decode(errors="replace").strip()

    def close(self) -> None:
        """Ends the session and the process."""
        process = self._process
        if process.poll() is None:
            try:
                self.ask({"type": "bye"})
            except HemostatError:
                pass
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                stream.close()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stderr is not None:
            process.stderr.close()
