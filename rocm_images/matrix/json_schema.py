"""The JSON Schema of matrix.yaml, for editors: it accepts whatever the reader accepts.

The reader takes every scalar as the text that is written, so that a number or a boolean is right
wherever its text is; an editor sees what YAML makes of it. What takes several values to see (two
bases of one version, an arch that is not there) only the reader finds.
"""

from __future__ import annotations

import json
import re
from typing import Any

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, JsonSchemaValue
from pydantic_core import core_schema

from rocm_images.matrix.schema import Matrix

DIALECT = "https://json-schema.org/draft/2020-12/schema"
DOCUMENTS = "https://github.com/rocm-serving-images/rocm-serving-images/blob/main/docs/"
_NUMBERS = ("7", "942", "7.2", "1" * 64)
# The words that pydantic takes for a boolean, in any case; YAML leaves most of them texts.
_BOOLEAN_WORDS = r"[01]|[tTyYfFnN]|[oO]([nN]|[fF]{2})|[tT][rR][uU][eE]|[yY][eE][sS]|[nN][oO]"
_BOOLEAN_WORDS += r"|[fF][aA][lL][sS][eE]"


class _AsWritten(GenerateJsonSchema):
    """Lets a scalar be of every type that its text can have in YAML."""

    def generate(
        self, schema: core_schema.CoreSchema, mode: JsonSchemaMode = "validation"
    ) -> JsonSchemaValue:
        found: JsonSchemaValue = _widened(super().generate(schema, mode))
        return found

    def bool_schema(self, _: core_schema.BoolSchema) -> JsonSchemaValue:
        return {"type": ["boolean", "integer", "string"], "pattern": f"^(?:{_BOOLEAN_WORDS})$"}

    def dict_schema(self, schema: core_schema.DictSchema) -> JsonSchemaValue:
        """Checks the keys as texts alone: `942:` and `7.2:` are numbers to some readers of YAML."""
        found: JsonSchemaValue = {
            "type": "object",
            "propertyNames": {"pattern": self.generate_inner(schema["keys_schema"])["pattern"]},
            "additionalProperties": self.generate_inner(schema["values_schema"]),
        }
        self.update_with_validations(found, schema, self.ValidationsMapping.object)
        return found


def _widened(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_widened(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: _widened(part) for key, part in schema.items()}
    if schema.get("type") == "string" and "enum" not in schema:
        pattern = re.compile(schema.get("pattern", ""))
        types = ["string"]
        if any(map(pattern.search, _NUMBERS)):
            types.append("number")
        if pattern.search("true"):
            types.append("boolean")
        found["type"] = types if len(types) > 1 else "string"
    return found


def schema_text() -> str:
    """docs/matrix.schema.json."""
    document = Matrix.model_json_schema(schema_generator=_AsWritten)
    return (
        json.dumps(
            {"$schema": DIALECT, "$id": f"{DOCUMENTS}matrix.schema.json", **document}, indent=2
        )
        + "\n"
    )
