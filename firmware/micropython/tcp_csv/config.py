"""What differs from board to board."""

SSID = "your-network"
PASSWORD = "your-password"

# The gateway: [adapters.tcp.*] listens there.
HOST = "192.168.1.10"
PORT = 8080

# What the gateway calls this node. None: esp32- and the end of the board's number.
NAME = None

# Sets the clock, so that readings which had to wait keep their time. None: they get the time of arrival.
NTP_HOST = "pool.ntp.org"

SDA = 21
SCL = 22
# 0x76 if the board connects SDO with GND.
ADDRESS = 0x77

# A reading every minute; every fifth time the readings are sent.
EVERY_S = 60
SEND_EVERY = 5

# Readings that are kept while the gateway is away.
KEEP = 200
# The most rounds without an attempt after failures.
LONGEST_BACKOFF = 30

# Sleeps between readings. False keeps the prompt reachable by USB.
SLEEP = True
# 0: none, for work at the prompt.
WATCHDOG_S = 30
