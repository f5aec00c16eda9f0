// Filters, sums and scales over rows of maps of bfloat16, in AVX-512.
#include <immintrin.h>

#include <cstring>

#include "amx_instructions.hpp"
#include "map_path.hpp"

namespace smallsight {

namespace {

#include "map_vectors.hpp"

// The value of each byte from -1 to 1, in bfloat16.
struct ByteValues {
    std::uint64_t of[256];

    ByteValues() {
        for (int byte = 0; byte < 256; ++byte) {
            const __m256i rounded = narrowed(_mm512_set1_ps((static_cast<float>(byte) - 127.5f) / 127.5f));
            of[byte] = static_cast<std::uint16_t>(_mm256_extract_epi16(rounded, 0));
        }
    }
};

// Filters `kBlock` neighbouring pixels of 32 channels; the even ones' sums come first. Each input is taken apart once.
template <int kColumns, int kStride, int kBlock>
inline void filter_block(const DepthwiseRow& row, int channel, int pixel) {
    const std::uint16_t* from = row.from + static_cast<std::size_t>(pixel) * kStride * row.from_stride + channel;
    const float* weights = row.weights + channel;
    __m512 even[kBlock], odd[kBlock];
    for (int one = 0; one < kBlock; ++one) {
        even[one] = _mm512_loadu_ps(row.bias + channel);
        odd[one] = _mm512_loadu_ps(row.bias + channel + 16);
    }
    constexpr int kInputs = (kBlock - 1) * kStride + kColumns;
    for (int y = 0; y < row.rows; ++y, from += row.row, weights += kColumns * row.weight_stride) {
#pragma GCC unroll 16
        for (int input = 0; input < kInputs; ++input) {
            const __m512i pair = _mm512_loadu_si512(from + input * row.from_stride);
            const __m512 low = low_half(pair), high = high_half(pair);
#pragma GCC unroll 8
            for (int one = 0; one < kBlock; ++one) {
                const int x = input - one * kStride;
                if (x < 0 || x >= kColumns) continue;
                even[one] = _mm512_fmadd_ps(low, _mm512_loadu_ps(weights + x * row.weight_stride), even[one]);
                odd[one] = _mm512_fmadd_ps(high, _mm512_loadu_ps(weights + x * row.weight_stride + 16), odd[one]);
            }
        }
    }
    for (int one = 0; one < kBlock; ++one) {
        std::uint16_t* to = row.to + static_cast<std::size_t>(pixel + one) * row.to_stride + channel;
        const __m512i values = woven(even[one], odd[one]);
        if (row.channels - channel >= 32) {
            _mm512_storeu_si512(to, values);
        } else {
            _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm512_castsi512_si256(values));
        }
    }
}

template <int kColumns, int kStride>
void filter_columns(const DepthwiseRow& row) {
    constexpr int kBlock = 8;
    for (int channel = 0; channel < row.channels; channel += 32) {
        int pixel = 0;
        for (; pixel + kBlock <= row.pixels; pixel += kBlock)
            filter_block<kColumns, kStride, kBlock>(row, channel, pixel);
        for (; pixel < row.pixels; ++pixel) filter_block<kColumns, kStride, 1>(row, channel, pixel);
    }
}

}  // namespace

void filter_row(const DepthwiseRow& row) {
    if (row.columns == 3 && row.stride_x == 1) return filter_columns<3, 1>(row);
    if (row.columns == 3 && row.stride_x == 2) return filter_columns<3, 2>(row);
    if (row.columns == 7 && row.stride_x == 1) return filter_columns<7, 1>(row);
}

void pixels_from_bytes(const std::uint8_t* rgb, std::uint16_t* to, int pixels) {
    static const ByteValues values;
    for (int pixel = 0; pixel < pixels; ++pixel, rgb += 3, to += 4) {
        const std::uint64_t all = values.of[rgb[0]] | values.of[rgb[1]] << 16 | values.of[rgb[2]] << 32;
        std::memcpy(to, &all, 8);
    }
}

void add_to_sums(const std::uint16_t* values, float* sums, int count) {
    for (int at = 0; at < count; at += 16)
        _mm512_storeu_ps(sums + at, _mm512_add_ps(_mm512_loadu_ps(sums + at), widened(values + at)));
}

void scale_values(const std::uint16_t* values, const float* scales, std::uint16_t* to, int count) {
    for (int at = 0; at < count; at += 16)
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + at),
                            narrowed(_mm512_mul_ps(widened(values + at), _mm512_loadu_ps(scales + at))));
}

void largest_of(const std::uint16_t* one, const std::uint16_t* other, std::uint16_t* to, int count) {
    for (int at = 0; at < count; at += 16) {
        const __m256i first = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(one + at));
        const __m256i second = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(other + at));
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + at), _mm256_max_epu16(first, second));
    }
}

void sum_of(const std::uint16_t* one, const std::uint16_t* other, std::uint16_t* to, int count) {
    for (int at = 0; at < count; at += 16)
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + at),
                            narrowed(_mm512_add_ps(widened(one + at), widened(other + at))));
}

void as_floats(const std::uint16_t* values, float* to, int count) {
    for (int at = 0; at < count; at += 16) _mm512_storeu_ps(to + at, widened(values + at));
}

}  // namespace smallsight
