// AVX-512 with integer dot products (VNNI).
#include <immintrin.h>

#include "kernel_path.hpp"

namespace smallsight {

namespace {

#include "avx512_lanes.hpp"

// Adds the halves of two vectors: those of the first are then the lower half.
inline __m512 halves(__m512 a, __m512 b) {
    return _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x44), _mm512_shuffle_f32x4(a, b, 0xEE));
}

// Adds the quarters of four vectors' halves.
inline __m512 quarters(__m512 a, __m512 b) {
    return _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x88), _mm512_shuffle_f32x4(a, b, 0xDD));
}

// Returns the 16 sums, each added in the order of `Lanes::sum`.
inline Lanes sums_of(const Lanes* parts) {
    __m512 quads[4];  // lane 4 * i + j of quads[q]: the j-th of four partial sums of vector 4 * q + i
    for (int quad = 0; quad < 4; ++quad) {
        const Lanes* from = parts + 4 * quad;
        quads[quad] = quarters(halves(from[0].v, from[1].v), halves(from[2].v, from[3].v));
    }
    const __m512 low = _mm512_add_ps(_mm512_shuffle_ps(quads[0], quads[1], 0x44),
                                     _mm512_shuffle_ps(quads[0], quads[1], 0xEE));
    const __m512 high = _mm512_add_ps(_mm512_shuffle_ps(quads[2], quads[3], 0x44),
                                      _mm512_shuffle_ps(quads[2], quads[3], 0xEE));
    const __m512 sums =
        _mm512_add_ps(_mm512_shuffle_ps(low, high, 0x88), _mm512_shuffle_ps(low, high, 0xDD));
    // Lane 4 * i + q is now the sum of vector 4 * q + i.
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    return {_mm512_permutexvar_ps(order, sums)};
}

// Exchanges rows and lanes of 16 vectors.
inline void transpose(Lanes* rows) {
    __m512 fours[16];  // fours[4 * i + j]: column j of each 4 x 4 square of rows 4 * i to 4 * i + 3
    for (int at = 0; at < 16; at += 4) {
        const __m512 a = _mm512_unpacklo_ps(rows[at].v, rows[at + 1].v);
        const __m512 b = _mm512_unpackhi_ps(rows[at].v, rows[at + 1].v);
        const __m512 c = _mm512_unpacklo_ps(rows[at + 2].v, rows[at + 3].v);
        const __m512 d = _mm512_unpackhi_ps(rows[at + 2].v, rows[at + 3].v);
        fours[at] = _mm512_shuffle_ps(a, c, 0x44);
        fours[at + 1] = _mm512_shuffle_ps(a, c, 0xEE);
        fours[at + 2] = _mm512_shuffle_ps(b, d, 0x44);
        fours[at + 3] = _mm512_shuffle_ps(b, d, 0xEE);
    }
    for (int column = 0; column < 4; ++column) {
        const __m512 a = _mm512_shuffle_f32x4(fours[column], fours[4 + column], 0x88);
        const __m512 b = _mm512_shuffle_f32x4(fours[column], fours[4 + column], 0xDD);
        const __m512 c = _mm512_shuffle_f32x4(fours[8 + column], fours[12 + column], 0x88);
        const __m512 d = _mm512_shuffle_f32x4(fours[8 + column], fours[12 + column], 0xDD);
        rows[column].v = _mm512_shuffle_f32x4(a, c, 0x88);
        rows[column + 8].v = _mm512_shuffle_f32x4(a, c, 0xDD);
        rows[column + 4].v = _mm512_shuffle_f32x4(b, d, 0x88);
        rows[column + 12].v = _mm512_shuffle_f32x4(b, d, 0xDD);
    }
}
// 16 whole numbers.
struct Whole {
    __m512i v;

    static Whole all(std::int32_t value) { return {_mm512_set1_epi32(value)}; }
    void add(const std::uint8_t* bytes, Whole weight) {
        const __m512i wide = _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes)));
        v = _mm512_add_epi32(v, _mm512_mullo_epi32(wide, weight.v));
    }
    void store_bytes(std::uint8_t* to) const {
        const __m512i whole = _mm512_max_epi32(_mm512_srai_epi32(v, kWeightBits), _mm512_setzero_si512());
        _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm512_cvtusepi32_epi8(whole));
    }
};
constexpr int kHeadsAtOnce = 3, kPairsAtOnce = 4, kRowsTogether = 8;

inline __m512i broadcast(const std::int8_t* codes) {
    std::int32_t four;
    __builtin_memcpy(&four, codes, sizeof four);
    return _mm512_set1_epi32(four);
}

// Sums of a group's products: independent ones, to hide latency. They are integers, so their order is free.
template <int kRows>
struct GroupSums {
    static constexpr int kChains = kRows == 1 ? 4 : 2;
    __m512i sums[kRows][kChains];

    // Adds eight inputs of each row, in two steps.
    template <int kBits>
    inline void add(const std::uint8_t* codes, const std::int8_t* const* values, int input, int chain) {
        __m512i first, second;
        if (kBits == 8) {
            first = _mm512_load_si512(codes);
            second = _mm512_load_si512(codes + 64);
        } else {
            const __m512i both = _mm512_load_si512(codes), low_half = _mm512_set1_epi8(15);
            first = _mm512_and_si512(both, low_half);
            second = _mm512_and_si512(_mm512_srli_epi16(both, 4), low_half);
        }
        for (int row = 0; row < kRows; ++row) {
            __m512i* into = sums[row] + chain % kChains;
            into[0] = _mm512_dpbusd_epi32(into[0], first, broadcast(values[row] + input));
            into[1] = _mm512_dpbusd_epi32(into[1], second, broadcast(values[row] + input + kStepInputs));
        }
    }

    __m512i total(int row) const {
        __m512i total = _mm512_add_epi32(sums[row][0], sums[row][1]);
        if (kChains == 4) total = _mm512_add_epi32(total, _mm512_add_epi32(sums[row][kChains - 2], sums[row][kChains - 1]));
        return total;
    }
};

template <int kRows, int kBits>
inline void multiply_codes(const PackedMatrix& matrix, int block, const QuantisedRows& rows, int first_row,
                           Lanes* out) {
    constexpr int kBytes = 8 * kLanes * kBits / 8;  // of eight inputs
    const std::uint8_t* codes = matrix.codes + block * matrix.block_bytes();
    const std::uint16_t* scales = matrix.scales + static_cast<std::size_t>(block) * matrix.groups() * kLanes;
    const int groups = matrix.groups(), group_size = matrix.group;
    const std::int8_t* values[kRows];
    const float* row_scales[kRows];
    __m512 sums[kRows];
    for (int row = 0; row < kRows; ++row) {
        values[row] = rows.codes + static_cast<std::size_t>(first_row + row) * rows.inputs;
        row_scales[row] = rows.scales_of(first_row + row);
        sums[row] = _mm512_setzero_ps();
    }
    for (int group = 0; group < groups; ++group) {
        GroupSums<kRows> products;
        for (int row = 0; row < kRows; ++row) {
            const __m512i sum =
                _mm512_set1_epi32(rows.sums[static_cast<std::size_t>(first_row + row) * rows.groups + group]);
            // The offset of the codes is 128 or 8.
            products.sums[row][0] = _mm512_sub_epi32(_mm512_setzero_si512(), _mm512_slli_epi32(sum, kBits == 8 ? 7 : 3));
            for (int chain = 1; chain < products.kChains; ++chain) products.sums[row][chain] = _mm512_setzero_si512();
        }
        const int begin = group * group_size;
        int input = 0;
        for (; input + 16 <= group_size; input += 16, codes += 2 * kBytes) {
            products.template add<kBits>(codes, values, begin + input, 0);
            products.template add<kBits>(codes + kBytes, values, begin + input + 8, 2);
        }
        for (; input < group_size; input += 8, codes += kBytes)
            products.template add<kBits>(codes, values, begin + input, 0);
        const __m512 scale =
            _mm512_cvtph_ps(_mm256_load_si256(reinterpret_cast<const __m256i*>(scales + group * kLanes)));
        for (int row = 0; row < kRows; ++row) {
            const float row_scale = row_scales[row][group * kLanes];
            sums[row] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(products.total(row)),
                                        _mm512_mul_ps(scale, _mm512_set1_ps(row_scale)), sums[row]);
        }
    }
    for (int row = 0; row < kRows; ++row) out[row].v = sums[row];
}

#include "block_by_bits.hpp"
#include "finish_body.hpp"
#include "path_body.hpp"
#include "rows_attention_body.hpp"
#include "codes_body.hpp"
#include "pooling_body.hpp"
#include "mix_body.hpp"

}  // namespace

const KernelPath* avx512_path() {
    static const KernelPath path = {"avx512", norm, layer_norm, quantise, multiply, rotate, attend, attend_rows, join,
                                    mix, multiply_codes, pool, multiply_vector, activate};
    return &path;
}

}  // namespace smallsight
