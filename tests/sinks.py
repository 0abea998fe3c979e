"""What the tests of all sinks do alike."""


def send_over_kills(gateway, sensor, server):
    """Sends 1,200 readings of three devices while the gateway is killed six times and the sink's server twice. Returns the values,
    in order."""
    sent = []
    for turn in range(6):
        values = [float(1000 * turn + n) for n in range(200)]
        sensor.send_all([(f"sensors/device-{n % 3}/telemetry", {"temperature": n}) for n in values])
        sent += values
        if turn % 3 == 1:
            server.kill()
        gateway.wait_ledger(distinct=len(sent))
        gateway.kill()
        if turn % 3 == 1:
            server.start()
        gateway.start()
    return sent
