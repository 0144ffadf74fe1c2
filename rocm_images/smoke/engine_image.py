"""Identifies an image that the engine has, as a self-test in it would: by id and by contents."""

from __future__ import annotations

from dataclasses import dataclass

from rocm_images.engine.connect import Engine
from rocm_images.engine.containers import container
from rocm_images.errors import EngineError, InputError
from rocm_images.recipe.labels import PREFIX

WAIT_SECONDS = 600.0
"""It reads every file of the image."""

_DIGEST = len("sha256:") + 64


@dataclass(frozen=True)
class Identity:
    """The id that the engine gives an image, and the digest that its own self-test computes."""

    image_id: str
    contents: str


def identify(engine: Engine, reference: str) -> Identity:
    """Start the image, without network or device, to have it say what it holds.

    Raises:
        EngineError: the image does not start.
        InputError: the engine does not have it, or it has no self-test.
    """
    from docker.errors import APIError, ImageNotFound
    from requests.exceptions import RequestException

    client = engine.client()
    try:
        image = client.images.get(reference)
        with container(
            client,
            str(image.id),
            ["selftest", "--contents"],
            network_mode="none",
            labels={PREFIX + "smoke": "contents"},
        ) as selftest:
            selftest.start()
            status = selftest.wait(timeout=WAIT_SECONDS)["StatusCode"]
            said, complaint = (
                selftest.logs(stdout=not errors, stderr=errors).decode(errors="replace").strip()
                for errors in (False, True)
            )
        if status != 0:
            raise InputError(f"{reference!r} has no self-test: {complaint}")
        return Identity(str(image.id), said[:_DIGEST])
    except ImageNotFound:
        raise InputError(f"the engine has no image {reference!r}: pull it first") from None
    except APIError as error:
        raise EngineError(f"{reference!r} does not start: {error.explanation}") from None
    except RequestException as error:
        raise EngineError(
            f"{reference!r} does not say what it holds ({error}): see whether `docker run` ends"
        ) from None
    finally:
        client.close()
