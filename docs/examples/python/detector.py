"""Five refused passwords from one source within ten minutes, then one that was right.

Python's standard library only: python3 detector.py
"""
import json
import sys

failures = {}  # source address -> times of refused passwords, in nanoseconds


def inspect(event):
    """Return an alert about an event, or None."""
    fields, now = event["fields"], event["time_ns"]
    source = fields.get("SourceIp") or fields.get("IpAddress", "")
    if fields.get("action") == "failed_password" or fields.get("EventID") == "4625":
        failures.setdefault(source, []).append(now)
        return None
    if fields.get("action") != "accepted_password" and fields.get("EventID") != "4624":
        return None
    recent = [t for t in failures.pop(source, []) if now - t < 600e9]
    if len(recent) < 5:
        return None
    return {
        "event_id": event["id"],
        "title": "A password was guessed",
        "technique": "T1110.001",
        "severity": "high",
        "confidence": 0.9,
        "reasons": [{"field": "refused before", "value": str(len(recent)), "test": "within ten minutes"}],
    }


for line in sys.stdin:
    message = json.loads(line)
    if message["type"] == "hello":
        answer = {
            "type": "ready", "name": "guessed-password", "version": "1",
            "wants": [{"logsource": {"service": "sshd"}}, {"logsource": {"service": "security"}}],
        }
    elif message["type"] == "trial":  # another trial: forget everything
        failures.clear()
        continue
    elif message["type"] == "events":
        found = [a for a in map(inspect, message["events"]) if a]
        answer = {"type": "alerts", "seq": message["seq"], "alerts": found, "latency_ns": 0}
    elif message["type"] == "bye":
        break
    else:
        continue
    print(json.dumps(answer), flush=True)
