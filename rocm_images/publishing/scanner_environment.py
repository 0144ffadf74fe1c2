"""What a channel's scanner gets of the environment: what every program needs, and what it names."""

from __future__ import annotations

from collections.abc import Mapping

from rocm_images.errors import PublishRefused
from rocm_images.matrix.schema import Scan

_PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
_ALWAYS = {
    *("PATH", "LD_LIBRARY_PATH", "HOME", "TMPDIR", "TZ", "LANG", "LANGUAGE"),
    *_PROXIES,
    *map(str.upper, _PROXIES),
    # Whom it believes where a company stands in between.
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"),
    "NODE_EXTRA_CA_CERTS",
}
# With what cosign reaches a key that somebody else holds:
# https://docs.sigstore.dev/cosign/key_management/overview/
_HOLDERS = {
    "awskms": ("AWS_",),
    "azurekms": ("AZURE_",),
    "gcpkms": ("GOOGLE_",),
    "gitlab": ("GITLAB_",),
    "hashivault": ("VAULT_", "TRANSIT_"),
    "k8s": ("KUBE",),
}


def environment_for(
    channel: str, scan: Scan, key: str | None, environment: Mapping[str, str]
) -> dict[str, str]:
    """What of an environment the scanner of a channel is given.

    Args:
        channel: its name.
        scan: what the channel says of its scanner.
        key: the address of the key that signs; None: there is none.
        environment: of this process.

    Raises:
        PublishRefused: the channel names a variable by which that key is had.
    """
    kind, _, rest = (key or "").partition("://")
    for name in scan.environment:
        if (kind == "env" and name == rest) or name.startswith(_HOLDERS.get(kind, ())):
            raise PublishRefused(
                f"channels.{channel}.scan.environment: {name} is what --sign-key {kind}:// signs "
                "with, which no scanner is given: take it out, and publish again"
            )
    given = _ALWAYS.union(scan.environment) - ({rest} if kind == "env" else set())
    return {
        name: value
        for name, value in environment.items()
        if name in given or (name.startswith("LC_") and name != rest)
    }
