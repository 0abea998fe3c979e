"""A Debian system in a folder, entered with chroot; its systemd does not run. For another architecture the kernel hands
its programs to qemu-user (binfmt_misc)."""

import hashlib
import os
import pathlib
import shutil
import stat
import subprocess

# What dpkg, ldconfig and passwd(5) write about every package.
BOOKS = ("proc", "var/lib/dpkg", "var/log/dpkg.log", "var/cache/ldconfig", "etc/.pwd.lock")
BACKUPS = ("etc/passwd-", "etc/group-", "etc/shadow-", "etc/gshadow-")


class Root:
    def __init__(self, folder, archive):
        self.folder = folder
        folder.mkdir()
        subprocess.run(["tar", "-xf", archive, "-C", folder], check=True)

    def _enter(self, command, user):
        """The command line that ends up as `command` itself: signals reach it, and its mounts go with it."""
        who = ["--userspec", f"{user}:{user}"] if user else []
        mount = f"mount -t proc proc {self.folder}/proc"
        return ["unshare", "--mount", "sh", "-c", f'{mount} && exec chroot "$@"', "sh", *who, self.folder, *command]

    def start(self, *command, user=None, **options):
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
        return subprocess.Popen(self._enter(command, user), env=environment, stdin=subprocess.DEVNULL, **options)

    def run(self, *command, user=None, check=True):
        """Its output, both kinds in one, and its exit code where that need not be 0."""
        process = self.start(*command, user=user, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        said, _ = process.communicate(timeout=600)
        if not check:
            return said, process.returncode
        assert process.returncode == 0, f"{' '.join(command)}: exit {process.returncode}\n{said}"
        return said

    def install(self, package):
        """As `apt install ./FILE` by somebody who presses enter at each question."""
        shutil.copy(package, self.folder / "tmp/riser.deb")
        said = self.run("dpkg", "--force-confdef", "--force-confold", "--install", "/tmp/riser.deb")
        (self.folder / "tmp/riser.deb").unlink()
        return said

    def path(self, path):
        return self.folder / path.lstrip("/")

    def owner(self, path):
        """`root:riser 0640`, by the names that this system knows."""
        return self.run("stat", "-c", "%U:%G %04a", path).strip()

    def listing(self):
        """Path to kind, mode, owner and content, of everything but the books that are kept about every package."""
        return dict(self._entries(self.folder))

    def _entries(self, folder):
        for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
            path = pathlib.Path(entry.path)
            name = str(path.relative_to(self.folder))
            if name in BOOKS or name in BACKUPS:
                continue
            about = entry.stat(follow_symlinks=False)
            content = None
            if entry.is_symlink():
                content = os.readlink(path)
            elif entry.is_file():
                content = hashlib.sha256(path.read_bytes()).hexdigest()
            yield name, (stat.filemode(about.st_mode), about.st_uid, about.st_gid, content)
            if entry.is_dir(follow_symlinks=False):
                yield from self._entries(path)

    def close(self):
        shutil.rmtree(self.folder)


def other_version(package, version, folder):
    """The same package under another version, whose gateway.toml has a line more, so that dpkg has to decide."""
    tree = folder / f"riser-{version}"
    subprocess.run(["dpkg-deb", "--raw-extract", package, tree], check=True)
    control = tree / "DEBIAN/control"
    lines = control.read_text().splitlines()
    control.write_text("\n".join(f"Version: {version}" if row.startswith("Version: ") else row for row in lines) + "\n")
    with open(tree / "etc/riser/gateway.toml", "a") as conffile:
        conffile.write(f"# As shipped with {version}.\n")
    built = folder / f"riser_{version}.deb"
    subprocess.run(["dpkg-deb", "-Zgzip", "-z1", "--build", tree, built], check=True, stdout=subprocess.DEVNULL)
    return built
