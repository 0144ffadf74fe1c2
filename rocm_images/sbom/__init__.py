"""What an image holds, as a software bill of materials (CycloneDX), made by syft: docs/sbom.md."""
