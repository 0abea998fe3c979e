"""The chaos test of sinks: one gateway with every kind of sink, each server behind a proxy that breaks the connection.

    sensors --> mosquitto --> Riser --> proxy --> InfluxDB, PostgreSQL, MongoDB, NATS, Kafka, HTTP, mosquitto (the cloud)
                                    --> files

| file | idea |
|---|---|
| `content.py` | what a server must hold at the end: start here |
| `schedule.py` | which faults come when, drawn from a seed |
| `proxy.py` | the faults of a connection |
| `targets.py`, `databases.py`, `http_server.py` | the servers: how they are killed, refuse logins, and what they hold |
| `load.py` | the sensors |
| `run.py` | one run, from the first reading to the verdict |
"""
