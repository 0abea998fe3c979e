"""What differs from board to board."""

# The Wi-Fi channel; the same in all clients.
CHANNEL = 1

# The addresses of the clients whose messages are accepted. Empty: all.
CLIENTS = []

# How often the broker reports its own counters.
STATUS_S = 60
WATCHDOG_S = 30
