"""A stand-in for CMake: it says its version, and configures nothing."""


def main() -> None:
    """Print what `cmake --version` begins with."""
    print("cmake version 3.31.10 (a stand-in)")
