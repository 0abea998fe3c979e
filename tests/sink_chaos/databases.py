"""InfluxDB, PostgreSQL and MongoDB as targets: see `targets.py`."""

from datetime import UTC

import influxdb
import mongodb
import postgres
from peers import HOST
from sink_chaos.content import Content, millis
from sink_chaos.targets import OTHER_PASSWORD, Target

USER, PASSWORD = "the_gateway", "grün & 2"


class Influx(Target):
    def __init__(self, folder):
        super().__init__("influxdb", influxdb.InfluxDb(folder))

    def start(self):
        self.server.start()
        self._run(f"CREATE USER {USER} WITH PASSWORD '{PASSWORD}' WITH ALL PRIVILEGES")

    def table(self):
        login = f'username = "{USER}"\npassword = "{PASSWORD}"\ndatabase = "building"'
        return self._table(f'url = "http://{HOST}:{self.proxy.port}"\n{login}')

    def lock(self):
        self._run(f"SET PASSWORD FOR {USER} = '{OTHER_PASSWORD}'")

    def unlock(self):
        self._run(f"SET PASSWORD FOR {USER} = '{PASSWORD}'")

    def _run(self, text):
        answer = self.server.query(text)
        assert "error" not in answer or "already exists" in answer["error"], answer

    def content(self):
        content = Content()
        total = self.server.rows("SELECT count(temperature) AS count, sum(temperature) AS sum FROM readings")
        content.readings = [row["temperature"] for row in self.server.rows("SELECT temperature FROM readings")]
        assert not total or (total[0]["count"], total[0]["sum"]) == (len(content.readings), sum(content.readings)), total
        for row in self.server.rows("SELECT device, temperature_count, temperature_avg FROM aggregates"):
            content.aggregates[row["device"], millis(row["time"])] = (row["temperature_count"], row["temperature_avg"])
        alerts = self.server.rows("SELECT device, state FROM alerts")
        content.alerts = {(row["device"], millis(row["time"]), row["state"]) for row in alerts}
        return content


class Postgres(Target):
    def __init__(self, _folder):
        super().__init__("postgres", postgres.Postgres())

    def start(self):
        self.server.start()
        if not self.server.rows(f"SELECT 1 FROM pg_roles WHERE rolname = '{USER}'"):
            self.server.run(f"CREATE ROLE {USER} LOGIN PASSWORD '{PASSWORD}'")
            self.server.run(f'GRANT ALL ON DATABASE "{postgres.DATABASE}" TO {USER}')

    def table(self):
        url = self.server.url.replace(str(self.server.port), str(self.proxy.port))
        return self._table(f'url = "{url}"\nusername = "{USER}"\npassword = "{PASSWORD}"')

    def lock(self):
        """Who has logged in already stays so: the connection is cut."""
        self.server.run(f"ALTER ROLE {USER} PASSWORD '{OTHER_PASSWORD}'")
        self.proxy.cut()

    def unlock(self):
        self.server.run(f"ALTER ROLE {USER} PASSWORD '{PASSWORD}'")

    def content(self):
        content, rows = Content(), self.server.rows
        content.readings = [float(value) for (value,) in rows("SELECT value FROM riser.readings")]
        assert int(rows("SELECT count(*) FROM riser.readings")[0][0]) == len(content.readings)
        start = "round(extract(epoch FROM start) * 1000)::bigint"
        for device, at, count, average in rows(f"SELECT device, {start}, count, avg FROM riser.aggregates"):
            content.aggregates[device, int(at)] = (int(count), float(average))
        time = "round(extract(epoch FROM time) * 1000)::bigint"
        alerts = rows(f"SELECT device, {time}, state FROM riser.alerts")
        content.alerts = {(device, int(at), state) for device, at, state in alerts}
        content.duplicates = len(alerts) - len(content.alerts)
        return content


class Mongo(Target):
    def __init__(self, folder):
        super().__init__("mongodb", mongodb.MongoDb(folder))

    def table(self):
        login = f'username = "{mongodb.USER}"\npassword = "{mongodb.PASSWORD}"\ndatabase = "{mongodb.DATABASE}"'
        return self._table(f'url = "mongodb://{HOST}:{self.proxy.port}"\n{login}')

    def lock(self):
        self.server.set_password(OTHER_PASSWORD)
        self.proxy.cut()

    def unlock(self):
        self.server.set_password(mongodb.PASSWORD)

    def content(self):
        content = Content()
        content.readings = [document["metrics"]["temperature"] for document in self.server.find("readings")]
        for document in self.server.find("aggregates"):
            metric = document["metrics"]["temperature"]
            content.aggregates[document["device"], _millis(document["window"]["start"])] = (metric["count"], metric["avg"])
        alerts = self.server.find("alerts")
        content.alerts = {(alert["device"], _millis(alert["time"]), alert["state"]) for alert in alerts}
        content.duplicates = len(alerts) - len(content.alerts)
        return content


def _millis(date):
    return round(date.replace(tzinfo=UTC).timestamp() * 1000)
