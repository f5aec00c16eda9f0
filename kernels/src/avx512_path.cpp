// AVX-512 with integer dot products (VNNI).
#include <immintrin.h>

#include "kernel_path.hpp"

namespace smallsight {

namespace {

struct Lanes {
    __m512 v;

    static Lanes all(float value) { return {_mm512_set1_ps(value)}; }
    static Lanes load(const float* from) { return {_mm512_loadu_ps(from)}; }
    static Lanes load_bf16(const std::uint16_t* from) {
        const __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
        return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16))};
    }
    void store(float* to) const { _mm512_storeu_ps(to, v); }
    Lanes plus(Lanes o) const { return {_mm512_add_ps(v, o.v)}; }
    Lanes minus(Lanes o) const { return {_mm512_sub_ps(v, o.v)}; }
    Lanes times(Lanes o) const { return {_mm512_mul_ps(v, o.v)}; }
    Lanes over(Lanes o) const { return {_mm512_div_ps(v, o.v)}; }
    Lanes max(Lanes o) const { return {_mm512_max_ps(v, o.v)}; }
    Lanes times_plus(Lanes factor, Lanes term) const { return {_mm512_fmadd_ps(v, factor.v, term.v)}; }
    Lanes rounded() const { return {_mm512_roundscale_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)}; }
    Lanes scaled_by_power(Lanes powers) const { return {_mm512_scalef_ps(v, powers.v)}; }
    float sum() const {
        const __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
        const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
        const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
        return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
    }
};

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
    __m512 sums[kRows];
    for (int row = 0; row < kRows; ++row) {
        values[row] = rows.codes + static_cast<std::size_t>(first_row + row) * rows.inputs;
        sums[row] = _mm512_setzero_ps();
    }
    for (int group = 0; group < groups; ++group) {
        GroupSums<kRows> products;
        for (int row = 0; row < kRows; ++row) {
            const std::int32_t sum = rows.sums[static_cast<std::size_t>(first_row + row) * rows.groups + group];
            products.sums[row][0] = _mm512_set1_epi32(-(kBits == 8 ? 128 : 8) * sum);
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
            const float row_scale = rows.scales[static_cast<std::size_t>(first_row + row) * rows.groups + group];
            sums[row] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(products.total(row)),
                                        _mm512_mul_ps(scale, _mm512_set1_ps(row_scale)), sums[row]);
        }
    }
    for (int row = 0; row < kRows; ++row) out[row].v = sums[row];
}

#include "block_by_bits.hpp"
#include "path_body.hpp"

}  // namespace

const KernelPath* avx512_path() {
    static const KernelPath path = {"avx512", norm, quantise, multiply, rotate, attend, join};
    return &path;
}

}  // namespace smallsight
