"""Isolation forest of scikit-learn over what each host does in five minutes.

    python3 -m pip install scikit-learn
    python3 detector.py

The forest is fitted anew in every trial on the first hour, which is taken for ordinary, so
that it needs no file; a real one would load a model that was trained before.
"""
import json
import sys

from sklearn.ensemble import IsolationForest

WINDOW = 300e9  # nanoseconds
TRAIN = 3600e9
KINDS = ["process_creation", "network_connection", "dns_query", "registry_set", "file_event", "logon"]


class Detector:
    def __init__(self):
        self.counts, self.last, self.began = {}, {}, None
        self.rows, self.forest = [], None

    def inspect(self, event):
        now, host = event["time_ns"], event.get("host", "")
        if self.began is None:
            self.began = now
        kind = event["logsource"].get("category") or "logon"
        key = (host, now // WINDOW)
        alert = None
        if self.last.get(host, key) != key:
            alert = self.judge(self.counts.pop(self.last[host]), event, now)
        self.last[host] = key
        row = self.counts.setdefault(key, [0] * len(KINDS))
        if kind in KINDS:
            row[KINDS.index(kind)] += 1
        return alert

    def judge(self, row, event, now):
        if self.forest is None:
            self.rows.append(row)
            if now - self.began > TRAIN and len(self.rows) > 50:
                self.forest = IsolationForest(n_estimators=50, random_state=1).fit(self.rows)
            return None
        score = -self.forest.score_samples([row])[0]
        if score < 0.75:
            return None
        return {
            "event_id": event["id"], "title": "A host does what hosts here do not", "technique": "T1059",
            "severity": "low", "confidence": round(min(1.0, float(score)), 3),
            "reasons": [{"field": k, "value": str(n), "test": "in five minutes"} for k, n in zip(KINDS, row)],
        }


detector = Detector()
for line in sys.stdin:
    message = json.loads(line)
    if message["type"] == "hello":
        answer = {"type": "ready", "name": "isolation-forest", "version": "1"}
    elif message["type"] == "trial":
        detector = Detector()
        continue
    elif message["type"] == "events":
        found = [a for a in map(detector.inspect, message["events"]) if a]
        answer = {"type": "alerts", "seq": message["seq"], "alerts": found, "latency_ns": 0}
    elif message["type"] == "bye":
        break
    else:
        continue
    print(json.dumps(answer), flush=True)
