"""The options that the verbs of publishing share."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from rocm_images.cli.group import typed
from rocm_images.cli.options import ca_bundle_option, registry_option
from rocm_images.places import STATE
from rocm_images.registry.address import RegistryAddress

if TYPE_CHECKING:
    from rocm_images.registry.place import Who

Verb = TypeVar("Verb", bound=Callable[..., Any])

channel_option = click.option(
    "--channel", default="stable", show_default=True, help="A channel of matrix.yaml."
)
_identity_option = click.option(
    "--identity",
    metavar="REGEX",
    help="Trust signatures of this identity, which the CI that signs without a key has; of a "
    "workflow that another repository calls: 'REGEX called from OWNER/NAME@REF', as "
    "@refs/heads/main.",
)
_issuer_option = click.option(
    "--issuer", metavar="URL", help="The OIDC issuer that vouches for --identity."
)
retries_option = click.option(
    "--attempts",
    type=click.IntRange(1, 20),
    default=6,
    show_default=True,
    help="How often a request is tried that a registry fails.",
)


output_option = click.option(
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=STATE,
    show_default="build",
    help="The folder that gets catalogue.json and catalogue.html.",
)


_key_option = click.option("--key", metavar="FILE", help="Trust signatures of this public key.")
_sign_key_option = click.option(
    "--sign-key",
    metavar="FILE",
    help="Sign with this private key (a file that cosign made, or a KMS address); its signatures "
    "count.",
)
_keyless_option = click.option(
    "--keyless", is_flag=True, help="Sign as the identity of this CI job, without a key."
)


_OF_AN_IDENTITY = {"keyless", "identity", "issuer"}


def _as_typed(who: Who) -> Who:
    """Whom the user typed; variables only where nobody was, or to complete an identity.

    Variables are for all verbs, so one of them may not contradict what is typed in one call.
    """
    named = {name for name in vars(who) if typed(name)}
    if not named:
        return who
    # --keyless has no variable, and an identity is nobody's without its issuer.
    kept = named | _OF_AN_IDENTITY if named & _OF_AN_IDENTITY else named
    return type(who)(**{name: value for name, value in vars(who).items() if name in kept})


def trust_options(verb: Verb) -> Verb:
    """Adds whose signatures count; the verb gets it as `key`, `identity` and `issuer`."""

    @functools.wraps(verb)
    def called(*, key: str | None, identity: str | None, issuer: str | None, **options: Any) -> Any:
        from rocm_images.registry.place import Who

        who = _as_typed(Who(key=key, identity=identity, issuer=issuer))
        return verb(key=who.key, identity=who.identity, issuer=who.issuer, **options)

    for option in (_issuer_option, _identity_option, _key_option):
        called = option(called)
    return cast(Verb, called)


def signing_options(verb: Verb) -> Verb:
    """Adds who signs, and whose signatures count; the verb gets both as `who`."""

    @functools.wraps(verb)
    def called(
        *,
        sign_key: str | None,
        keyless: bool,
        key: str | None,
        identity: str | None,
        issuer: str | None,
        **options: Any,
    ) -> Any:
        from rocm_images.registry.place import Who

        who = Who(sign_key, keyless, key, identity, issuer)
        return verb(who=_as_typed(who), **options)

    for option in (
        *(_issuer_option, _identity_option, _key_option),
        *(_keyless_option, _sign_key_option),
    ):
        called = option(called)
    return cast(Verb, called)


def _not_before(help_text: str) -> Callable[[Verb], Verb]:
    return click.option(
        "--not-before",
        type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]),
        metavar="DATE",
        help=help_text,
    )


_MOVED_BACK = (
    "an image that got its tag before this date, 2026-11-01 say (UTC): the tag may have been moved "
    "back."
)
not_before_option = _not_before(f"Refuse {_MOVED_BACK}")
not_before_of_bundle_option = _not_before(f"With --from, refuse {_MOVED_BACK}")
last_published_option = _not_before(
    "When you last published, 2026-11-01 say (UTC): a catalogue from before is an old one that "
    "somebody put back, and then nothing is dropped. --yes asks for it. What is old enough to drop "
    "is said by --older-than."
)


registries_option = click.option(
    "--registry",
    "registries",
    multiple=True,
    # One that is named twice is one.
    callback=lambda context, option, texts: tuple(
        dict.fromkeys(RegistryAddress.parse(text) for text in texts)
    ),
    metavar="ADDRESS",
    help="[http://]HOST[:PORT][/PATH] of the target registry; may be repeated, in the variable "
    "with spaces between.",
)


def where_options(verb: Verb) -> Verb:
    """Adds the registry, how it is trusted, and how patiently it is asked."""
    for option in (retries_option, ca_bundle_option, registry_option):
        verb = option(verb)
    return verb


def of_reference_options(verb: Verb) -> Verb:
    """Adds whose signatures count, and how the registry is asked that something else names."""
    for option in (retries_option, ca_bundle_option, trust_options):
        verb = option(verb)
    return verb


def wherever_options(verb: Verb) -> Verb:
    """Adds the same for verbs that work on several registries."""
    for option in (retries_option, ca_bundle_option, registries_option):
        verb = option(verb)
    return verb
