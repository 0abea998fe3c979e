"""The chaos test: a gateway between real brokers under random faults, and an oracle that accounts for every reading.

    senders --> mosquitto --> proxy floor5 (MQTT 5)   --> Riser --> proxy upstream --> mosquitto (the cloud)
            \\            \\-> proxy floor4 (MQTT 3.1.1) -->  ^
             \\--> proxy local (5 and 3.1.1) --> embedded broker

| file | idea |
|---|---|
| `reading.py` | the form of a reading, and how to find the readings in a window |
| `oracle.py` | what must be true at the end: start here |
| `schedule.py` | which faults come when, drawn from a seed |
| `packets.py`, `proxy.py`, `records.py` | the connections: faults on them, and what was seen to pass |
| `sender.py` | sensors that remember what was acknowledged |
| `setup.py`, `run.py` | the processes, and one run from the first reading to the verdict |
"""
