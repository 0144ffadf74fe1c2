# ruff: noqa: E501 - what is long here is C++
"""The kernels of a serving engine in their plainest form, each for several types: 40 in all.

Nothing but a compiler is to work on them: no GPU ever ran one.
"""

from __future__ import annotations

from collections.abc import Iterator

COMMON = """\
#pragma once
#include <hip/hip_runtime.h>
#include <hip/hip_fp16.h>
#include <hip/hip_bf16.h>

using half_type = __half;
using brain_type = __hip_bfloat16;

template <typename T> __device__ inline float as_float(T value) { return static_cast<float>(value); }
template <typename T> __device__ inline T from_float(float value) { return static_cast<T>(value); }

// Every thread of a block gets the sum over the block; blocks have at most 16 waves of 64.
__device__ inline float block_sum(float value) {
    __shared__ float waves[16];
    for (int distance = 32; distance > 0; distance /= 2) value += __shfl_xor(value, distance, 64);
    if (threadIdx.x % 64 == 0) waves[threadIdx.x / 64] = value;
    __syncthreads();
    float total = 0;
    for (unsigned wave = 0; wave < (blockDim.x + 63) / 64; ++wave) total += waves[wave];
    __syncthreads();
    return total;
}

__device__ inline float block_max(float value) {
    __shared__ float waves[16];
    for (int distance = 32; distance > 0; distance /= 2)
        value = fmaxf(value, __shfl_xor(value, distance, 64));
    if (threadIdx.x % 64 == 0) waves[threadIdx.x / 64] = value;
    __syncthreads();
    float largest = waves[0];
    for (unsigned wave = 1; wave < (blockDim.x + 63) / 64; ++wave) largest = fmaxf(largest, waves[wave]);
    __syncthreads();
    return largest;
}
"""

_ROW_KERNELS = {
    "rms_norm": """\
    float squares = 0;
    for (int i = threadIdx.x; i < width; i += blockDim.x) squares += as_float(x[i]) * as_float(x[i]);
    const float scale = rsqrtf(block_sum(squares) / width + 1e-6f);
    for (int i = threadIdx.x; i < width; i += blockDim.x)
        y[i] = from_float<T>(as_float(x[i]) * scale * as_float(weight[i]));
""",
    "layer_norm": """\
    float sum = 0, squares = 0;
    for (int i = threadIdx.x; i < width; i += blockDim.x) sum += as_float(x[i]);
    const float mean = block_sum(sum) / width;
    for (int i = threadIdx.x; i < width; i += blockDim.x) {
        const float distance = as_float(x[i]) - mean;
        squares += distance * distance;
    }
    const float scale = rsqrtf(block_sum(squares) / width + 1e-5f);
    for (int i = threadIdx.x; i < width; i += blockDim.x)
        y[i] = from_float<T>((as_float(x[i]) - mean) * scale + as_float(weight[i]));
""",
    "softmax": """\
    float largest = -INFINITY, sum = 0;
    for (int i = threadIdx.x; i < width; i += blockDim.x) largest = fmaxf(largest, as_float(x[i]));
    largest = block_max(largest);
    for (int i = threadIdx.x; i < width; i += blockDim.x) sum += expf(as_float(x[i]) - largest);
    sum = block_sum(sum);
    for (int i = threadIdx.x; i < width; i += blockDim.x)
        y[i] = from_float<T>(expf(as_float(x[i]) - largest) / sum * as_float(weight[i]));
""",
    "rotary": """\
    for (int i = threadIdx.x; i < width / 2; i += blockDim.x) {
        const float angle = row * powf(10000.0f, -2.0f * i / width) * as_float(weight[i]);
        const float left = as_float(x[i]), right = as_float(x[i + width / 2]);
        y[i] = from_float<T>(left * cosf(angle) - right * sinf(angle));
        y[i + width / 2] = from_float<T>(right * cosf(angle) + left * sinf(angle));
    }
""",
    "quantise": """\
    float largest = 0;
    for (int i = threadIdx.x; i < width; i += blockDim.x) largest = fmaxf(largest, fabsf(as_float(x[i])));
    const float scale = fmaxf(block_max(largest), 1e-8f) / 127.0f;
    for (int i = threadIdx.x; i < width; i += blockDim.x)
        y[i] = from_float<T>(fminf(fmaxf(rintf(as_float(x[i]) / scale), -127.0f), 127.0f));
    if (threadIdx.x == 0) y[width - 1] = from_float<T>(scale * as_float(weight[0]));
""",
    "gated": """\
    for (int i = threadIdx.x; i < width / 2; i += blockDim.x) {
        const float gate = as_float(x[i]), up = as_float(x[i + width / 2]);
        y[i] = from_float<T>(gate / (1.0f + expf(-gate)) * up * as_float(weight[i]));
    }
""",
    "top_four": """\
    float before = INFINITY;
    for (int rank = 0; rank < 4; ++rank) {
        float best = -INFINITY;
        for (int i = threadIdx.x; i < width; i += blockDim.x)
            if (as_float(x[i]) < before) best = fmaxf(best, as_float(x[i]));
        before = block_max(best);
        if (threadIdx.x == 0) y[rank] = from_float<T>(before * as_float(weight[rank]));
    }
""",
}

_ROWS = """\
#include "common.h"

template <typename T>
__global__ void {name}(const T* all, const T* weight, T* result, int width) {{
    const int row = blockIdx.x;
    const T* x = all + static_cast<long>(row) * width;
    T* y = result + static_cast<long>(row) * width;
{body}}}

extern "C" void {name}_{label}(const void* x, const void* weight, void* y, int rows, int width, hipStream_t on) {{
    {name}<{type}><<<rows, {threads}, 0, on>>>(
        static_cast<const {type}*>(x), static_cast<const {type}*>(weight), static_cast<{type}*>(y), width);
}}
"""

_PRODUCT = """\
#include "common.h"

// A tile of {m} x {n} of the product for each block, in steps of {k}.
template <typename T>
__global__ void product(const T* a, const T* b, T* c, int rows, int columns, int depth) {{
    __shared__ float left[{m}][{k}], right[{k}][{n}];
    float sums[{m} * {n} / 256] = {{}};
    for (int from = 0; from < depth; from += {k}) {{
        for (int i = threadIdx.x; i < {m} * {k}; i += 256)
            left[i / {k}][i % {k}] = as_float(a[(blockIdx.y * {m} + i / {k}) * depth + from + i % {k}]);
        for (int i = threadIdx.x; i < {k} * {n}; i += 256)
            right[i / {n}][i % {n}] = as_float(b[(from + i / {n}) * columns + blockIdx.x * {n} + i % {n}]);
        __syncthreads();
#pragma unroll
        for (int one = 0; one < {m} * {n} / 256; ++one) {{
            const int at = one * 256 + threadIdx.x;
#pragma unroll
            for (int i = 0; i < {k}; ++i) sums[one] += left[at / {n}][i] * right[i][at % {n}];
        }}
        __syncthreads();
    }}
    for (int one = 0; one < {m} * {n} / 256; ++one) {{
        const int at = one * 256 + threadIdx.x;
        c[(blockIdx.y * {m} + at / {n}) * columns + blockIdx.x * {n} + at % {n}] = from_float<T>(sums[one]);
    }}
}}

extern "C" void product_{label}(const void* a, const void* b, void* c, int m, int n, int k, hipStream_t on) {{
    product<{type}><<<dim3(n / {n}, m / {m}), 256, 0, on>>>(
        static_cast<const {type}*>(a), static_cast<const {type}*>(b), static_cast<{type}*>(c), m, n, k);
}}
"""

_TYPES = {"f32": "float", "f16": "half_type", "bf16": "brain_type"}
_TILES = ((32, 32, 16), (64, 32, 16), (64, 64, 16), (64, 64, 32), (128, 64, 16), (128, 64, 32))


def sources() -> Iterator[tuple[str, str]]:
    """The name and the text of each kernel."""
    for name, body in _ROW_KERNELS.items():
        for label, type_name in _TYPES.items():
            text = _ROWS.format(name=name, label=label, type=type_name, body=body, threads=256)
            yield f"{name}_{label}", text
    for m, n, k in _TILES:
        for label, type_name in _TYPES.items():
            text = _PRODUCT.format(m=m, n=n, k=k, type=type_name, label=f"{label}_{m}_{n}_{k}")
            yield f"product_{label}_{m}_{n}_{k}", text
    # One that takes its time, as a few of a real tree do.
    yield "product_f32_large", _PRODUCT.format(m=128, n=128, k=32, type="float", label="f32_large")
