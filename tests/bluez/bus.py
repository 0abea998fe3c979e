"""A private D-Bus system bus: the real dbus-daemon, with a configuration and a socket in a folder of its own."""

import subprocess
import tempfile

CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path={folder}/socket</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <allow own="*"/>
    <allow send_type="method_call"/>
    <allow send_type="signal"/>
    <allow send_requested_reply="true" send_type="method_return"/>
    <allow send_requested_reply="true" send_type="error"/>
    <allow receive_type="method_call"/>
    <allow receive_type="method_return"/>
    <allow receive_type="error"/>
    <allow receive_type="signal"/>
    <allow send_destination="org.freedesktop.DBus"/>
    {more}
  </policy>
</busconfig>
"""


class Bus:
    """`address` is what DBUS_SYSTEM_BUS_ADDRESS wants."""

    def __init__(self):
        # Not pytest's folder: the path of a socket has at most 107 characters.
        self._folder = tempfile.TemporaryDirectory(prefix="riser-bus-")
        self.address = f"unix:path={self._folder.name}/socket"
        self.process = None

    def start(self, more=""):
        """`more`: further rules, such as `<deny send_destination="org.bluez"/>`."""
        config = f"{self._folder.name}/bus.conf"
        with open(config, "w") as file:
            file.write(CONFIG.format(folder=self._folder.name, more=more))
        command = ["dbus-daemon", f"--config-file={config}", "--nofork", "--nopidfile", "--print-address=1"]
        with open(f"{self._folder.name}/stderr", "w+") as err:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=err, text=True)
            listens = self.process.stdout.readline().startswith("unix:path=")
            err.seek(0)
            assert listens, f"dbus-daemon did not start: {err.read()}"

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait(10)
            self.process.stdout.close()
            self.process = None

    def close(self):
        self.stop()
        self._folder.cleanup()
