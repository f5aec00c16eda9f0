// ARM with integer dot products of four (SDOT).
#include <arm_neon.h>

#include "kernel_path.hpp"

namespace smallsight {

namespace {

#include "neon_lanes.hpp"

// Four inputs of 16 outputs, as signed codes; in 4 bits still larger by the offset.
template <int kBits>
inline void step_weights(const std::uint8_t* codes, int step, int8x16_t* weights) {
    const std::uint8_t* from = codes + (kBits == 8 ? step : step / 2) * 64;
    for (int four = 0; four < kFours; ++four) {
        uint8x16_t bytes = vld1q_u8(from + 16 * four);
        if (kBits == 8) bytes = veorq_u8(bytes, vdupq_n_u8(128));
        if (kBits == 4) bytes = step % 2 == 0 ? vandq_u8(bytes, vdupq_n_u8(15)) : vshrq_n_u8(bytes, 4);
        weights[four] = vreinterpretq_s8_u8(bytes);
    }
}

inline int8x16_t broadcast(const std::int8_t* codes) {
    std::int32_t four;
    __builtin_memcpy(&four, codes, sizeof four);
    return vreinterpretq_s8_s32(vdupq_n_s32(four));
}

template <int kRows, int kBits>
inline void multiply_codes(const PackedMatrix& matrix, int block, const QuantisedRows& rows, int first_row,
                           Lanes* out) {
    const std::uint8_t* codes = matrix.codes + block * matrix.block_bytes();
    const std::uint16_t* scales = matrix.scales + static_cast<std::size_t>(block) * matrix.groups() * kLanes;
    const std::int8_t* values = rows.codes + static_cast<std::size_t>(first_row) * rows.inputs;
    const std::int32_t* sums = rows.sums + static_cast<std::size_t>(first_row) * rows.groups;
    for (int row = 0; row < kRows; ++row) out[row] = Lanes::all(0.0f);
    for (int group = 0; group < matrix.groups(); ++group, codes += matrix.group_bytes(), values += matrix.group) {
        int32x4_t products[kRows][kFours];
        for (int row = 0; row < kRows; ++row)
            for (int32x4_t& four : products[row])
                four = vdupq_n_s32(kBits == 8 ? 0 : -matrix.offset() * sums[row * rows.groups + group]);
        for (int step = 0; step < matrix.group / kStepInputs; ++step) {
            int8x16_t weights[kFours];
            step_weights<kBits>(codes, step, weights);
            for (int row = 0; row < kRows; ++row) {
                const int8x16_t value =
                    broadcast(values + static_cast<std::size_t>(row) * rows.inputs + step * kStepInputs);
                for (int four = 0; four < kFours; ++four)
                    products[row][four] = vdotq_s32(products[row][four], weights[four], value);
            }
        }
        for (int row = 0; row < kRows; ++row)
            add_group(products[row], scales + group * kLanes, rows.scales_of(first_row + row)[group * kLanes], out[row]);
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

const KernelPath* dotprod_path() {
    static const KernelPath path = {"dotprod", norm, layer_norm, quantise, multiply, rotate, attend, attend_rows, join,
                                    mix, multiply_codes, pool, multiply_vector, activate};
    return &path;
}

}  // namespace smallsight
