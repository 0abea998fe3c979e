"""A whole 64-bit ARM machine with Debian and systemd on a disk of its own, emulated: not a Raspberry Pi's board, but its
kernel's kind, its processor (Cortex-A72, of a Pi 4) and its packages. From outside it is reached on a port of
127.0.0.1; what it calls 10.0.2.2 is this machine's 127.0.0.1."""

import base64
import re
import subprocess
import threading

from peers import HOST, wait_until

HOST_SEEN_FROM_INSIDE = "10.0.2.2"

SHELL = """[Service]
Environment=PS1= PS2= TERM=dumb SYSTEMD_COLORS=0 PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 SYSTEMD_PAGER=cat
ExecStart=/bin/sh -c 'stty -echo; echo shell-is-ready; exec sh'
StandardInput=tty
StandardOutput=tty
TTYPath=/dev/ttyAMA0
Restart=always
"""
NETWORK = "[Match]\nName=e*\n[Network]\nAddress=10.0.2.15/24\nGateway=10.0.2.2\n"


def make_disk(root, disk):
    """An ext4 disk of `root`, with a shell on the serial line and a network."""
    units = root.path("/etc/systemd/system")
    (units / "serial-shell.service").write_text(SHELL)
    wanted = units / "multi-user.target.wants"
    wanted.mkdir(exist_ok=True)
    (wanted / "serial-shell.service").symlink_to("../serial-shell.service")
    (wanted / "systemd-networkd.service").symlink_to("/usr/lib/systemd/system/systemd-networkd.service")
    (units / "serial-getty@ttyAMA0.service").symlink_to("/dev/null")
    root.path("/etc/systemd/network/outside.network").write_text(NETWORK)
    subprocess.run(["mkfs.ext4", "-q", "-d", root.folder, disk, "2G"], check=True)


class Machine:
    def __init__(self, disk, kernel, initrd, port):
        """`port` of 127.0.0.1 leads to the machine's 1883."""
        self._said = bytearray()
        self._process = subprocess.Popen(
            ["timeout", "1800", "qemu-system-aarch64", "-M", "virt", "-cpu", "cortex-a72", "-smp", "2", "-m", "1024", "-display", "none"]
            + ["-kernel", kernel, "-initrd", initrd, "-append", "console=ttyAMA0 quiet loglevel=0 systemd.show_status=no"]
            + ["-drive", f"file={disk},format=raw,if=none,id=disk", "-device", "virtio-blk-pci,drive=disk"]
            + ["-netdev", f"user,id=net,hostfwd=tcp:{HOST}:{port}-:1883"]
            + ["-device", "virtio-net-pci,netdev=net,romfile=", "-serial", "stdio", "-monitor", "none"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        threading.Thread(target=self._listen, daemon=True).start()
        self.wait_up()

    def _listen(self):
        while some := self._process.stdout.read1():
            self._said += some

    def console(self):
        return self._said.decode(errors="replace").replace("\r", "")

    def _type(self, line):
        self._process.stdin.write(line.encode() + b"\n")
        self._process.stdin.flush()

    def wait_up(self, time=1):
        """Until the shell has come up for the `time`th time, and systemd has started all it wants to. Nothing is typed
        before: typing while nothing reads stops the machine."""

        def shells():
            assert self._process.poll() is None, self.console()
            return self.console().count("shell-is-ready") >= time

        wait_until(shells, 300, self.console)
        self.run("systemctl is-system-running --wait", check=False, timeout=300)

    def run(self, command, check=True, timeout=120):
        """What the command said, both kinds in one; it must succeed, unless `check` is False."""
        start = len(self.console())
        self._type(f"{{ {command}\n}} 2>&1; echo ended-$?-")
        end = wait_until(
            lambda: re.search(r"ended-(\d+)-", self.console()[start:]), timeout, lambda: f"{command}: {self.console()}"
        )
        said = self.console()[start : start + end.start()].strip()
        assert not check or end.group(1) == "0", f"{command}: exit {end.group(1)}\n{said}"
        return said

    def write(self, path, text):
        """Into the file that is there: owner and mode stay."""
        coded = base64.b64encode(text.encode()).decode()
        self.run("rm -f /tmp/coded")
        for begin in range(0, len(coded), 1000):
            self.run(f"echo {coded[begin : begin + 1000]} >> /tmp/coded")
        self.run(f"base64 -d /tmp/coded > {path}")

    def reboot(self):
        shells = self.console().count("shell-is-ready")
        self._type("systemctl reboot")
        self.wait_up(shells + 1)

    def close(self):
        # `timeout` passes it on to the machine; killed itself, it would leave the machine running.
        self._process.terminate()
        self._process.wait(10)
