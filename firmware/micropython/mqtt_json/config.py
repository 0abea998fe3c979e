"""What differs from board to board."""

SSID = "your-network"
PASSWORD = "your-password"

# The gateway's MQTT broker ([broker]), or the one that [adapters.mqtt.*] reads from. A number, because looking up a name can
# take longer than this chip's watchdog waits.
HOST = "192.168.1.10"
PORT = 1883
USER = None
USER_PASSWORD = None

# What the gateway calls this node. None: pico- and the end of the board's number.
NAME = None

# A time server in the local network, often the router: "192.168.1.1". It sets the clock, so that readings which had to wait
# keep their time. None: they get the time of arrival.
NTP_HOST = None

SDA = 4
SCL = 5
# 0x77 if the board connects SDO with 3.3 V.
ADDRESS = 0x76

# A reading every minute; every fifth time the readings are sent.
EVERY_S = 60
SEND_EVERY = 5

# Readings that are kept while the broker is away.
KEEP = 200
# The most rounds without an attempt after failures.
LONGEST_BACKOFF = 30

# Sleeps between readings. False keeps the prompt reachable by USB.
SLEEP = True
# At most 8.3 on this chip; 0: none, for work at the prompt.
WATCHDOG_S = 8.3
