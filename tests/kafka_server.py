"""A real Apache Kafka broker (KRaft, one node) in a folder of its own, and what its topics hold. Its jars come by Maven, once, into
target/kafka."""

import fcntl
import json
import os
import pathlib
import subprocess

from kafka import KafkaConsumer, TopicPartition

from peers import HOST, free_port, wait_until
from server_process import ServerProcess

VERSION = "4.1.0"
TARGET = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", pathlib.Path(__file__).parent.parent / "target"))
JARS = TARGET / f"kafka-{VERSION}"
USER, PASSWORD = "riser", "geheim & 1"
SCRAM = ("SCRAM-SHA-256", "SCRAM-SHA-512")
COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies"
POM = f"""<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>riser</groupId><artifactId>tests</artifactId><version>1</version><dependencies>
<dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>{VERSION}</version></dependency>
<dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version></dependency>
</dependencies></project>"""


def jars():
    """Where Kafka's jars are. One of several test processes fetches them, the others wait for it."""
    JARS.mkdir(parents=True, exist_ok=True)
    with open(JARS / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (JARS / "complete").exists():
            (JARS / "pom.xml").write_text(POM)
            command = ["mvn", "-q", "-B", "-f", JARS / "pom.xml", COPY, "-DoutputDirectory=lib", "-DincludeScope=runtime"]
            done = subprocess.run(command, capture_output=True, text=True, timeout=300)
            assert done.returncode == 0, done.stdout + done.stderr
            (JARS / "complete").touch()
    return JARS / "lib"


class Kafka(ServerProcess):
    """`has_login`: clients log in with SASL, mechanism PLAIN. `advertised`: the port that clients are sent to, of a proxy.
    `locked`: a second port, where every password is wrong. `certificates`: there are ports with TLS, see `_encrypted`."""

    STOP_TIMEOUT = 30

    def __init__(self, folder, has_login=False, advertised=None, locked=None, certificates=None):
        super().__init__(folder)
        self.encrypted = {}
        self.has_login, self.locked = has_login, locked
        controller = free_port()
        name = "SASL_PLAINTEXT" if has_login else "PLAINTEXT"
        settings = {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@{HOST}:{controller}",
            "controller.listener.names": "CONTROLLER",
            "listeners": f"{name}://{HOST}:{self.port},CONTROLLER://{HOST}:{controller}",
            "advertised.listeners": f"{name}://{HOST}:{advertised or self.port}",
            "listener.security.protocol.map": f"CONTROLLER:PLAINTEXT,{name}:{name}",
            "inter.broker.listener.name": name,
            "log.dirs": f"{folder}/data",
            "num.partitions": "3",
            "offsets.topic.replication.factor": "1",
            "log.cleaner.dedupe.buffer.size": "2000000",
            "message.max.bytes": "5000",
        }
        if has_login:
            module = "org.apache.kafka.common.security.plain.PlainLoginModule"
            user = f'username="{USER}" password="{PASSWORD}" user_{USER}="{PASSWORD}"'
            settings |= {
                "sasl.enabled.mechanisms": "PLAIN",
                "sasl.mechanism.inter.broker.protocol": "PLAIN",
                "listener.name.sasl_plaintext.plain.sasl.jaas.config": f"{module} required {user};",
            }
        if locked:
            wrong = f'username="{USER}" password="{PASSWORD}" user_{USER}="another"'
            settings["listeners"] += f",LOCKED://{HOST}:{locked}"
            settings["advertised.listeners"] += f",LOCKED://{HOST}:{locked}"
            settings["listener.security.protocol.map"] += ",LOCKED:SASL_PLAINTEXT"
            settings["listener.name.locked.plain.sasl.jaas.config"] = f"{module} required {wrong};"
        if certificates:
            self._encrypted(settings, certificates)
        self.settings = folder / "server.properties"
        self.settings.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
        users = [f"--add-scram={name}=[name={USER},password={PASSWORD}]" for name in SCRAM] if certificates else []
        format_ = self._java("kafka.tools.StorageTool", "format", "-t", "AAAAAAAAAAAAAAAAAAAAAA", "-c", self.settings, *users)
        done = subprocess.run(format_, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stdout + done.stderr

    def _encrypted(self, settings, certificates):
        """Three ports with TLS: `open` wants no login, `login` wants one, `stranger` has the certificate of another host."""
        server = (certificates.server_cert, certificates.server_key)
        for name, protocol, (cert, key) in (
            ("open", "SSL", server),
            ("login", "SASL_SSL", server),
            ("stranger", "SSL", (certificates.other_cert, certificates.other_key)),
        ):
            self.encrypted[name] = free_port()
            for setting in ("listeners", "advertised.listeners"):
                settings[setting] += f",{name.upper()}://{HOST}:{self.encrypted[name]}"
            settings["listener.security.protocol.map"] += f",{name.upper()}:{protocol}"
            store = self.folder / f"{name}.pem"
            store.write_text(key.read_text() + cert.read_text())
            settings[f"listener.name.{name}.ssl.keystore.type"] = "PEM"
            settings[f"listener.name.{name}.ssl.keystore.location"] = store
        settings["sasl.enabled.mechanisms"] = ",".join(("PLAIN", *SCRAM))
        jaas, common = "sasl.jaas.config", "org.apache.kafka.common.security"
        plain = f'{common}.plain.PlainLoginModule required user_{USER}="{PASSWORD}";'
        settings[f"listener.name.login.plain.{jaas}"] = plain
        for name in SCRAM:
            settings[f"listener.name.login.{name.lower()}.{jaas}"] = f"{common}.scram.ScramLoginModule required;"

    @staticmethod
    def _java(*arguments):
        small = ["-Xms64m", "-Xmx192m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
        quiet = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
        return ["java", *small, quiet, "-cp", f"{jars()}/*", *arguments]

    @property
    def address(self):
        return f"{HOST}:{self.port}"

    def start(self):
        self.launch(self._java("kafka.Kafka", self.settings))
        wait_until(lambda: self.listens(self.port), 60, what="Kafka")
        return self

    def messages(self, topic):
        """Key, JSON and partition of each message of a topic, by partition."""
        login = {"security_protocol": "SASL_PLAINTEXT", "sasl_mechanism": "PLAIN"} if self.has_login else {}
        login |= {"sasl_plain_username": USER, "sasl_plain_password": PASSWORD} if self.has_login else {}
        consumer = KafkaConsumer(bootstrap_servers=self.address, auto_offset_reset="earliest", **login)
        try:
            # A topic that was just created is not known everywhere at once.
            wait_until(lambda: consumer.partitions_for_topic(topic), 20, what=f"the topic {topic}")
            partitions = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic)]
            ends = consumer.end_offsets(partitions)
            consumer.assign(partitions)
            consumer.seek_to_beginning()
            found = []
            while any(consumer.position(partition) < end for partition, end in ends.items()):
                for messages in consumer.poll(timeout_ms=1000).values():
                    found += [(message.key.decode(), json.loads(message.value), message.partition) for message in messages]
            return found
        finally:
            consumer.close()
