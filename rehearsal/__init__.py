"""Stand-ins for what cannot be real on a machine without a GPU and Docker Hub.

Everything that can be real is: the engine, BuildKit, the registry, the tests. A stand-in is
labelled as one in the image, in the tag and in every report.
"""
