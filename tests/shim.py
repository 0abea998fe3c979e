"""Libraries that go between a program and its machine."""

import subprocess


def build(source, folder):
    """Compiles the C file `source` into a library for LD_PRELOAD, and returns its path in `folder`."""
    library = folder / source.with_suffix(".so").name
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror", "-o", library, source], check=True)
    return library
