// AVX2 with fused products, without dot products of bytes: codes are widened to 16 bits, bfloat16 to float32.
//
// Rows and a panel of weights are widened once for 32 rows, into memory that stays in the L1 and L2 caches.
#include <immintrin.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <type_traits>

#include "encoder_path.hpp"

namespace smallsight {

namespace {

#include "avx2_encoder_vectors.hpp"

constexpr int kMostValues = 768;  // of a segment, in int8; half as many in bfloat16

#include "avx2_encoder_products.hpp"

constexpr int kBlockRows = 4;
constexpr int kShareTiles = 6;  // 32 rows of shares and 16 columns of values in float32
constexpr float kNever = -1e30f;  // the score of a key that does not exist
constexpr float kLeastPower = -126.0f;

void begin() {}
void end() {}

// What 8 outputs need for their sums to become numbers.
struct Columns {
    __m256 scale, weighted_sum, bias;

    Columns(const PanelProduct& product, int output) {
        const PanelMatrix& matrix = *product.matrix;
        bias = product.segment == 0 ? _mm256_load_ps(matrix.bias + output) : _mm256_setzero_ps();
        if (matrix.number != Number::kInt8) return;
        const std::size_t place = static_cast<std::size_t>(product.segment) * matrix.outputs + output;
        scale = _mm256_load_ps(matrix.scales + place);
        weighted_sum = _mm256_load_ps(matrix.weighted_sums + place);
    }

    template <Number kNumber>
    __m256 values(__m256 sums, const RowPanel& rows, int row) const {
        if (kNumber == Number::kInt16) return _mm256_fmadd_ps(sums, _mm256_set1_ps(rows.scales[row]), bias);
        if (kNumber != Number::kInt8) return _mm256_add_ps(sums, bias);
        const __m256 base = _mm256_fnmadd_ps(_mm256_set1_ps(rows.zeros[row]), weighted_sum, bias);
        return _mm256_fmadd_ps(sums, _mm256_mul_ps(scale, _mm256_set1_ps(rows.scales[row])), base);
    }
};

template <Number kNumber>
inline void finish(const PanelProduct& product, const BlockSums<kBlockRows>& sums, int first, const Columns& low,
                   const Columns& high, float* to) {
#pragma GCC unroll 8
    for (int row = 0; row < kBlockRows; ++row, to += product.stride) {
        __m256 left = low.values<kNumber>(sums.low[row], product.rows, first + row);
        __m256 right = high.values<kNumber>(sums.high[row], product.rows, first + row);
        if (product.adds) {
            left = _mm256_add_ps(left, _mm256_loadu_ps(to));
            right = _mm256_add_ps(right, _mm256_loadu_ps(to + 8));
        }
        _mm256_storeu_ps(to, left);
        _mm256_storeu_ps(to + 8, right);
    }
}

template <Number kNumber>
void multiply_as(const PanelProduct& product) {
    static thread_local Widened widened;
    constexpr bool kWidens = kNumber == Number::kInt8 || kNumber == Number::kInt16;  // weights, to 16 bits
    constexpr int kRowBytes = kNumber == Number::kInt7 ? 1 : kWidens ? 2 : 4;  // of an input
    const PanelMatrix& matrix = *product.matrix;
    const int size = matrix.segments.segment_values(), tiles = matrix.segments.steps;
    auto* floats = reinterpret_cast<float*>(widened.outputs);
    if (kNumber != Number::kBf16)
        join_rows<kNumber == Number::kInt8>(product.rows.tiles, product.row_count,
                                            tiles * row_tiles_of_step(kNumber), widened.rows);
    if (kNumber == Number::kBf16)
        widen_rows(product.rows.tiles, product.row_count, size, reinterpret_cast<float*>(widened.rows));
    for (int half = 2 * product.begin; half < 2 * product.end; ++half) {
        const int panel = half / 2, side = half % 2;
        const std::uint8_t* outputs = matrix.panel(product.segment, panel);
        const std::size_t group = matrix.first_group(product.segment, panel) + side * 16;
        const float* scales = matrix.group_scales == nullptr ? nullptr : matrix.group_scales + group;
        if (kNumber == Number::kBf16) widen_columns(outputs + side * kTileBytes, size, floats);
        if (kWidens) widen_outputs(outputs + side * kTileBytes, tiles, widened.outputs);
        const auto sums_of = [&](int first) {
            const std::size_t stride = static_cast<std::size_t>(size) * kRowBytes;
            const std::uint8_t* rows = widened.rows + first * stride;
            if constexpr (kNumber == Number::kInt7)
                return multiply_int7<kBlockRows>(product, rows, outputs + side * kTileBytes, group, first);
            else if constexpr (kWidens)
                return multiply_codes<kBlockRows>(rows, widened.outputs, tiles, scales);
            else
                return multiply_floats<kBlockRows>(reinterpret_cast<const float*>(rows), size, floats, size);
        };
        const Columns low(product, half * 16), high(product, half * 16 + 8);
        float* const out = product.out + (static_cast<std::size_t>(half) - 2 * product.begin) * 16;
        for (int first = 0; first < product.row_count; first += kBlockRows)
            finish<kNumber>(product, sums_of(first), first, low, high, out + first * product.stride);
    }
}

void multiply(const PanelProduct& product) {
    switch (product.matrix->number) {
        case Number::kInt8: return multiply_as<Number::kInt8>(product);
        case Number::kInt7: return multiply_as<Number::kInt7>(product);
        case Number::kInt16: return multiply_as<Number::kInt16>(product);
        case Number::kBf16: return multiply_as<Number::kBf16>(product);
    }
}

// Writes 16 sums of all rows at a stride, each times its row's factor where there are any.
void multiply_all(const float* rows, std::size_t stride, const float* outputs, int size, int row_count,
                  const float* factors, float* out, std::size_t out_stride) {
    for (int first = 0; first < row_count; first += kBlockRows) {
        const auto sums = multiply_floats<kBlockRows>(rows + first * stride, stride, outputs, size);
#pragma GCC unroll 8
        for (int row = 0; row < kBlockRows; ++row) {
            const __m256 factor = _mm256_set1_ps(factors == nullptr ? 1.0f : factors[first + row]);
            float* to = out + (first + row) * out_stride;
            _mm256_storeu_ps(to, _mm256_mul_ps(sums.low[row], factor));
            _mm256_storeu_ps(to + 8, _mm256_mul_ps(sums.high[row], factor));
        }
    }
}

// Turns a query's scores into powers of two relative to the largest; returns their sum.
float share(float* scores, int count) {
    const int whole = padded_to(count, 8);
    std::fill(scores + count, scores + whole, kNever);
    __m256 largest = _mm256_set1_ps(kNever), total = _mm256_setzero_ps();
    for (int at = 0; at < whole; at += 8) largest = _mm256_max_ps(largest, _mm256_load_ps(scores + at));
    const __m256 most = _mm256_set1_ps(most_of(largest)), least = _mm256_set1_ps(kLeastPower);
    for (int at = 0; at < whole; at += 8) {
        const __m256 score = _mm256_sub_ps(_mm256_load_ps(scores + at), most);
        // What is smaller than 2**-126, as keys that do not exist are, has no share.
        const __m256 counts = _mm256_cmp_ps(score, least, _CMP_GE_OQ);
        const __m256 power = _mm256_and_ps(power_of_two(_mm256_max_ps(score, least)), counts);
        _mm256_store_ps(scores + at, power);
        total = _mm256_add_ps(total, power);
    }
    return sum_of(total);
}

void attend(const HeadAttention& head) {
    alignas(64) float queries[kPanel * kMostHead], keys[16 * kMostHead], factors[kPanel];
    const int panels = head.key_panels(), dims = head.dims;
    const std::size_t stride = static_cast<std::size_t>(panels) * kPanel;
    auto* shares = reinterpret_cast<float*>(head.shares);
    float* values = shares + stride * kPanel;
    widen_rows(head.queries, head.row_count, dims, queries);
    for (int half = 0; half < 2 * panels; ++half) {
        const std::size_t tile = static_cast<std::size_t>(half / 2) * (dims / 32) * 2 + half % 2;
        widen_columns(head.keys + tile * kTileBytes, dims, keys);
        multiply_all(queries, dims, keys, dims, head.row_count, nullptr, shares + half * 16, stride);
    }
    for (int row = 0; row < head.row_count; ++row)
        factors[row] = 1.0f / share(shares + row * stride, head.keys_count);
    const int size = padded_to(head.keys_count, 2);
    for (int at = 0; at < dims; at += 16) {
        const std::size_t tile = static_cast<std::size_t>(at / 32) * panels * 2 + at % 32 / 16;
        widen_columns(head.values + tile * kTileBytes, size, values);
        multiply_all(shares, stride, values, size, head.row_count, factors, head.out + at, head.stride);
    }
}

}  // namespace

const EncoderPath* avx2_encoder_path() {
    static const EncoderPath path = {"avx2", kBlockRows, true, true, false, false, false, kShareTiles, begin, end, multiply, norm,
                                     activate, pack, store_queries, store_keys, store_values, attend};
    return &path;
}

}  // namespace smallsight
