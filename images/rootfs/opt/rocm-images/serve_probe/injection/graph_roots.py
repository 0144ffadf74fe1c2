"""Counts the roots and the nodes of every graph that torch captures, while its capture is open.

Started by sitecustomize.py, beside which it lies, in those processes of a server that have a model.
"""

from __future__ import annotations

import ctypes

# One name each, with the same arguments. On CUDA it is the driver, whose symbols stay as they are:
# the runtime's GetCaptureInfo is another function in CUDA 13 than in 12.
_CALLS = {
    "hip": ("hipStreamGetCaptureInfo_v2", "hipGraphGetRootNodes", "hipGraphGetNodes"),
    "cuda": ("cuStreamGetCaptureInfo_v2", "cuGraphGetRootNodes", "cuGraphGetNodes"),
}
_DRIVER = "libcuda.so.1"
_ACTIVE = 1


class Roots:
    """`say` writes a line to the log; `library` gives the file of the HIP runtime that torch uses.

    What cannot be read is said with its status: a graph of which nothing is known is no good one.
    """

    def __init__(self, say, library):
        self._say, self._library = say, library
        self._functions = ()

    def wrap(self, graphs):
        """Has every capture that torch ends be looked at before."""
        end = graphs.CUDAGraph.capture_end

        def capture_end(graph, *arguments, **options):
            self._look()
            return end(graph, *arguments, **options)

        graphs.CUDAGraph.capture_end = capture_end

    def _look(self):
        try:
            self._say(self._text())
        except Exception as error:  # a server that is only looked at must go on
            self._say(f"roots: unread, {type(error).__name__}: {error}")

    def _text(self):
        import torch

        if not self._functions:
            backend = "hip" if torch.version.hip is not None else "cuda"
            library = ctypes.CDLL(self._library(backend) if backend == "hip" else _DRIVER)
            self._functions = tuple(getattr(library, name) for name in _CALLS[backend])
        information, get_roots, get_nodes = self._functions
        stream = ctypes.c_void_p(torch.cuda.current_stream().cuda_stream)
        state, number = ctypes.c_int(-1), ctypes.c_ulonglong(0)
        graph, dependencies = ctypes.c_void_p(), ctypes.c_void_p()
        roots, nodes, count = ctypes.c_size_t(0), ctypes.c_size_t(0), ctypes.c_size_t(0)
        into = (state, number, graph, dependencies, count)
        status = information(stream, *map(ctypes.byref, into))
        if status != 0 or state.value != _ACTIVE or not graph.value:
            return f"roots: unread, status {status}, capture state {state.value}"
        statuses = (
            get_roots(graph, None, ctypes.byref(roots)),
            get_nodes(graph, None, ctypes.byref(nodes)),
        )
        if any(statuses):
            return f"roots: unread, statuses {statuses[0]} and {statuses[1]}"
        return f"roots: graph with roots {roots.value} of nodes {nodes.value}"
