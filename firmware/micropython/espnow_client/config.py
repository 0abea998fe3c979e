"""What differs from board to board."""

# The broker's address, which it prints when it starts.
BROKER = "a4:c1:38:8d:18:b2"
# The Wi-Fi channel of the broker.
CHANNEL = 1

SDA = 21
SCL = 22
BME280 = 0x76
BH1750 = 0x23
# A pin of ADC1 behind a divider of two equal resistors at the battery. None: the voltage is not measured.
BATTERY_PIN = None

EVERY_S = 60
# Readings that are kept while the broker is away.
KEEP = 24
# The most rounds without an attempt after failures.
LONGEST_BACKOFF = 15
WATCHDOG_S = 20
