// AVX2 with fused products, without integer dot products of four.
#include <immintrin.h>

#include "kernel_path.hpp"

namespace smallsight {

namespace {

struct Lanes {
    __m256 low, high;

    static Lanes all(float value) { return {_mm256_set1_ps(value), _mm256_set1_ps(value)}; }
    static Lanes load(const float* from) { return {_mm256_loadu_ps(from), _mm256_loadu_ps(from + 8)}; }
    static Lanes of_codes(const std::int8_t* codes) {
        const __m128i all = _mm_loadu_si128(reinterpret_cast<const __m128i*>(codes));
        return {_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(all)),
                _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_unpackhi_epi64(all, all)))};
    }
    // Widens 16 pairs of bfloat16.
    static void load_pairs(const std::uint16_t* from, Lanes& first, Lanes& second) {
        const __m256i some = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
        const __m256i more = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from + 16));
        first = {first_halves(some), first_halves(more)};
        second = {second_halves(some), second_halves(more)};
    }
    void store(float* to) const {
        _mm256_storeu_ps(to, low);
        _mm256_storeu_ps(to + 8, high);
    }
    Lanes plus(Lanes o) const { return {_mm256_add_ps(low, o.low), _mm256_add_ps(high, o.high)}; }
    Lanes minus(Lanes o) const { return {_mm256_sub_ps(low, o.low), _mm256_sub_ps(high, o.high)}; }
    Lanes times(Lanes o) const { return {_mm256_mul_ps(low, o.low), _mm256_mul_ps(high, o.high)}; }
    Lanes over(Lanes o) const { return {_mm256_div_ps(low, o.low), _mm256_div_ps(high, o.high)}; }
    Lanes max(Lanes o) const { return {_mm256_max_ps(low, o.low), _mm256_max_ps(high, o.high)}; }
    Lanes times_plus(Lanes factor, Lanes term) const {
        return {_mm256_fmadd_ps(low, factor.low, term.low), _mm256_fmadd_ps(high, factor.high, term.high)};
    }
    Lanes rounded() const {
        return {_mm256_round_ps(low, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC),
                _mm256_round_ps(high, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)};
    }
    Lanes scaled_by_power(Lanes powers) const {
        return {_mm256_mul_ps(low, power_of_two(powers.low)), _mm256_mul_ps(high, power_of_two(powers.high))};
    }
    float most() const {
        const __m256 eight = _mm256_max_ps(low, high);
        const __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
        const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
        return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
    }
    // Stores whole numbers as codes and returns their sum.
    std::int32_t store_codes(std::int8_t* to) const {
        const __m256i first = _mm256_cvtps_epi32(low), second = _mm256_cvtps_epi32(high);
        const __m256i pairs = _mm256_permute4x64_epi64(_mm256_packs_epi32(first, second), 0xd8);
        const __m128i codes = _mm_packs_epi16(_mm256_castsi256_si128(pairs), _mm256_extracti128_si256(pairs, 1));
        _mm_storeu_si128(reinterpret_cast<__m128i*>(to), codes);
        const __m256i eight = _mm256_add_epi32(first, second);
        __m128i four = _mm_add_epi32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256(eight, 1));
        four = _mm_hadd_epi32(four, four);
        return _mm_cvtsi128_si32(_mm_hadd_epi32(four, four));
    }
    float sum() const {
        const __m256 eight = _mm256_add_ps(low, high);
        const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
        const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
        return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
    }

   private:
    static __m256 first_halves(__m256i bits) { return _mm256_castsi256_ps(_mm256_slli_epi32(bits, 16)); }
    static __m256 second_halves(__m256i bits) {
        return _mm256_castsi256_ps(_mm256_and_si256(bits, _mm256_set1_epi32(static_cast<int>(0xffff0000u))));
    }
    static __m256 power_of_two(__m256 powers) {
        const __m256i biased = _mm256_add_epi32(_mm256_cvtps_epi32(powers), _mm256_set1_epi32(127));
        return _mm256_castsi256_ps(_mm256_slli_epi32(biased, 23));
    }
};

inline Lanes sums_of(const Lanes* parts) {
    alignas(32) float sums[kLanes];
    for (int one = 0; one < kLanes; ++one) sums[one] = parts[one].sum();
    return Lanes::load(sums);
}

// Adds the products of 32 signed codes, four by four. Weights lie between -128 and 127, so the sum of two products
// with a value up to 127 fits in 16 bits.
inline __m256i add_products(__m256i sum, __m256i weights, __m256i values) {
    const __m256i pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(values), _mm256_sign_epi8(weights, values));
    return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

inline __m256i broadcast(const std::int8_t* codes) {
    std::int32_t four;
    __builtin_memcpy(&four, codes, sizeof four);
    return _mm256_set1_epi32(four);
}

template <int kRows, int kBits>
inline void multiply_codes(const PackedMatrix& matrix, int block, const QuantisedRows& rows, int first_row,
                           Lanes* out) {
    const std::uint8_t* codes = matrix.codes + block * matrix.block_bytes();
    const std::uint16_t* scales = matrix.scales + static_cast<std::size_t>(block) * matrix.groups() * kLanes;
    const __m256i low_half = _mm256_set1_epi8(15), offset = _mm256_set1_epi8(kBits == 8 ? -128 : 8);
    for (int row = 0; row < kRows; ++row) out[row] = Lanes::all(0.0f);
    for (int group = 0; group < matrix.groups(); ++group) {
        __m256i products[kRows][2];
        for (int row = 0; row < kRows; ++row) products[row][0] = products[row][1] = _mm256_setzero_si256();
        for (int step = 0; step < matrix.group / kStepInputs; ++step) {
            __m256i weights[2];
            const std::uint8_t* from = codes + (kBits == 8 ? step : step / 2) * 64;
            for (int half = 0; half < 2; ++half) {
                __m256i bytes = _mm256_load_si256(reinterpret_cast<const __m256i*>(from + 32 * half));
                if (kBits == 4 && step % 2 == 1) bytes = _mm256_srli_epi16(bytes, 4);
                if (kBits == 4) bytes = _mm256_and_si256(bytes, low_half);
                weights[half] = _mm256_sub_epi8(bytes, offset);
            }
            for (int row = 0; row < kRows; ++row) {
                const __m256i values = broadcast(rows.codes + static_cast<std::size_t>(first_row + row) * rows.inputs +
                                                 group * matrix.group + step * kStepInputs);
                for (int half = 0; half < 2; ++half)
                    products[row][half] = add_products(products[row][half], weights[half], values);
            }
        }
        codes += matrix.group_bytes();
        const __m128i* bits = reinterpret_cast<const __m128i*>(scales + group * kLanes);
        const Lanes scale = {_mm256_cvtph_ps(_mm_load_si128(bits)), _mm256_cvtph_ps(_mm_load_si128(bits + 1))};
        for (int row = 0; row < kRows; ++row) {
            const float row_scale = rows.scales_of(first_row + row)[group * kLanes];
            const Lanes whole = {_mm256_cvtepi32_ps(products[row][0]), _mm256_cvtepi32_ps(products[row][1])};
            out[row] = whole.times_plus(scale.times(Lanes::all(row_scale)), out[row]);
        }
    }
}

inline void transpose(Lanes* rows) {
    alignas(32) float from[kLanes][kLanes], to[kLanes][kLanes];
    for (int row = 0; row < kLanes; ++row) rows[row].store(from[row]);
    for (int row = 0; row < kLanes; ++row)
        for (int lane = 0; lane < kLanes; ++lane) to[row][lane] = from[lane][row];
    for (int row = 0; row < kLanes; ++row) rows[row] = Lanes::load(to[row]);
}
// 16 whole numbers.
struct Whole {
    __m256i low, high;

    static Whole all(std::int32_t value) { return {_mm256_set1_epi32(value), _mm256_set1_epi32(value)}; }
    void add(const std::uint8_t* bytes, Whole weight) {
        const __m128i some = _mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes));
        low = _mm256_add_epi32(low, _mm256_mullo_epi32(_mm256_cvtepu8_epi32(some), weight.low));
        high = _mm256_add_epi32(high, _mm256_mullo_epi32(_mm256_cvtepu8_epi32(_mm_srli_si128(some, 8)), weight.high));
    }
    void store_bytes(std::uint8_t* to) const {
        const __m256i pairs =
            _mm256_packs_epi32(_mm256_srai_epi32(low, kWeightBits), _mm256_srai_epi32(high, kWeightBits));
        const __m256i ordered = _mm256_permute4x64_epi64(pairs, 0xd8);
        const __m128i bytes = _mm_packus_epi16(_mm256_castsi256_si128(ordered), _mm256_extracti128_si256(ordered, 1));
        _mm_storeu_si128(reinterpret_cast<__m128i*>(to), bytes);
    }
};
constexpr int kHeadsAtOnce = 1, kPairsAtOnce = 1, kRowsTogether = 8;

#include "block_by_bits.hpp"
#include "finish_body.hpp"
#include "path_body.hpp"
#include "rows_attention_body.hpp"
#include "codes_body.hpp"
#include "pooling_body.hpp"
#include "mix_body.hpp"

}  // namespace

const KernelPath* avx2_path() {
    static const KernelPath path = {"avx2", norm, layer_norm, quantise, multiply, rotate, attend, attend_rows, join,
                                    mix, multiply_codes, pool, multiply_vector, activate};
    return &path;
}

}  // namespace smallsight
