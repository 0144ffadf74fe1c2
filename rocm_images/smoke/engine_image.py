"""Identifies an image that the engine has, as a self-test in it would: by id and by contents."""

from __future__ import annotations

from dataclasses import dataclass

from rocm_images.errors import EngineError, InputError

_DIGEST = len("sha256:") + 64


@dataclass(frozen=True)
class Identity:
    """The id that the engine gives an image, and the digest that its own self-test computes."""

    image_id: str
    contents: str


def identify(reference: str) -> Identity:
    """Start the image, without network or device, to have it say what it holds.

    Raises:
        EngineError: no engine answers, or the image does not start.
        InputError: the engine does not have it, or it has no self-test.
    """
    from docker.errors import APIError, ContainerError, ImageNotFound

    from rocm_images.engine.connect import connect

    client = connect().client()
    try:
        image = client.images.get(reference)
        said = client.containers.run(
            image, ["selftest", "--contents"], network_mode="none", remove=True
        )
        return Identity(str(image.id), said.decode(errors="replace").strip()[:_DIGEST])
    except ImageNotFound:
        raise InputError(f"the engine has no image {reference!r}: pull it first") from None
    except ContainerError as error:
        raise InputError(f"{reference!r} has no self-test: {error.stderr!r}") from None
    except APIError as error:
        raise EngineError(f"{reference!r} does not start: {error.explanation}") from None
    finally:
        client.close()
