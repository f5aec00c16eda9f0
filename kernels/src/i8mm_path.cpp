// ARM with products of small integer matrices (USMMLA): two outputs and two rows over eight inputs at once.
#include <arm_neon.h>

#include "kernel_path.hpp"

namespace smallsight {

namespace {

#include "neon_lanes.hpp"

constexpr int kPairs = kLanes / 2;  // of outputs

// Eight inputs of 16 outputs, each pair of outputs in one register; codes are larger by the offset.
template <int kBits>
inline void pair_weights(const std::uint8_t* codes, uint8x16_t* weights) {
    for (int four = 0; four < kFours; ++four) {
        uint8x16_t first = vld1q_u8(codes + 16 * four), second;
        if (kBits == 8) {
            second = vld1q_u8(codes + 64 + 16 * four);
        } else {
            second = vshrq_n_u8(first, 4);
            first = vandq_u8(first, vdupq_n_u8(15));
        }
        const uint32x4_t a = vreinterpretq_u32_u8(first), b = vreinterpretq_u32_u8(second);
        weights[2 * four] = vreinterpretq_u8_u32(vzip1q_u32(a, b));
        weights[2 * four + 1] = vreinterpretq_u8_u32(vzip2q_u32(a, b));
    }
}

// Sums of a group's products for two rows: of a pair of outputs, [output][row].
struct PairSums {
    int32x4_t pairs[kPairs];

    void start(std::int32_t first, std::int32_t second) {
        const int32x2_t both = vset_lane_s32(second, vdup_n_s32(first), 1);
        for (int32x4_t& pair : pairs) pair = vcombine_s32(both, both);
    }
    void add(const uint8x16_t* weights, const std::int8_t* first, const std::int8_t* second) {
        const int8x16_t values = vcombine_s8(vld1_s8(first), vld1_s8(second));
        for (int pair = 0; pair < kPairs; ++pair) pairs[pair] = vusmmlaq_s32(pairs[pair], weights[pair], values);
    }
    void take(int32x4_t* first, int32x4_t* second) const {
        for (int four = 0; four < kFours; ++four) {
            first[four] = vuzp1q_s32(pairs[2 * four], pairs[2 * four + 1]);
            second[four] = vuzp2q_s32(pairs[2 * four], pairs[2 * four + 1]);
        }
    }
};

// Of an odd number of rows the last one is multiplied twice, and the second result is not read.
template <int kRows, int kBits>
inline void multiply_codes(const PackedMatrix& matrix, int block, const QuantisedRows& rows, int first_row,
                           Lanes* out) {
    constexpr int kTwos = (kRows + 1) / 2, kBytes = 8 * kLanes * kBits / 8;  // of eight inputs
    const std::uint8_t* codes = matrix.codes + block * matrix.block_bytes();
    const std::uint16_t* scales = matrix.scales + static_cast<std::size_t>(block) * matrix.groups() * kLanes;
    const auto row_at = [&](int at) { return first_row + (at < kRows ? at : kRows - 1); };
    const auto start_of = [&](int at, int group) {
        return -matrix.offset() * rows.sums[static_cast<std::size_t>(row_at(at)) * rows.groups + group];
    };
    for (int row = 0; row < kRows; ++row) out[row] = Lanes::all(0.0f);
    for (int group = 0; group < matrix.groups(); ++group) {
        PairSums sums[kTwos];
        for (int two = 0; two < kTwos; ++two) sums[two].start(start_of(2 * two, group), start_of(2 * two + 1, group));
        for (int input = 0; input < matrix.group; input += 8, codes += kBytes) {
            uint8x16_t weights[kPairs];
            pair_weights<kBits>(codes, weights);
            const std::int8_t* values = rows.codes + group * matrix.group + input;
            for (int two = 0; two < kTwos; ++two)
                sums[two].add(weights, values + static_cast<std::size_t>(row_at(2 * two)) * rows.inputs,
                              values + static_cast<std::size_t>(row_at(2 * two + 1)) * rows.inputs);
        }
        for (int two = 0; two < kTwos; ++two) {
            int32x4_t products[2][kFours];
            sums[two].take(products[0], products[1]);
            for (int row = 2 * two; row < kRows && row < 2 * two + 2; ++row)
                add_group(products[row - 2 * two], scales + group * kLanes,
                          rows.scales_of(first_row + row)[group * kLanes], out[row]);
        }
    }
}

#include "block_by_bits.hpp"
#include "finish_body.hpp"
#include "path_body.hpp"
#include "rows_attention_body.hpp"
#include "codes_body.hpp"
#include "pooling_body.hpp"
#include "mix_body.hpp"

}  // namespace

const KernelPath* i8mm_path() {
    static const KernelPath path = {"i8mm", norm, layer_norm, quantise, multiply, rotate, attend, attend_rows, join,
                                    mix, multiply_codes, pool, multiply_vector, activate};
    return &path;
}

}  // namespace smallsight
