// The reference: plain C++ that every processor runs, and that the other paths are compared with.
#include "kernel_path.hpp"

namespace smallsight {

namespace {

struct Lanes {
    float v[kLanes];

    template <typename F>
    static Lanes each(F&& value) {
        Lanes result;
        for (int lane = 0; lane < kLanes; ++lane) result.v[lane] = value(lane);
        return result;
    }
    static Lanes all(float value) {
        return each([=](int) { return value; });
    }
    static Lanes load(const float* from) {
        return each([=](int lane) { return from[lane]; });
    }
    static Lanes of_codes(const std::int8_t* codes) {
        return each([=](int lane) { return static_cast<float>(codes[lane]); });
    }
    // Widens 16 pairs of bfloat16.
    static void load_pairs(const std::uint16_t* from, Lanes& first, Lanes& second) {
        const auto half = [=](int number) {
            return each([=](int lane) {
                const std::uint32_t bits = static_cast<std::uint32_t>(from[2 * lane + number]) << 16;
                float value;
                __builtin_memcpy(&value, &bits, sizeof value);
                return value;
            });
        };
        first = half(0);
        second = half(1);
    }
    void store(float* to) const {
        for (int lane = 0; lane < kLanes; ++lane) to[lane] = v[lane];
    }
    Lanes plus(Lanes o) const {
        return each([&](int lane) { return v[lane] + o.v[lane]; });
    }
    Lanes minus(Lanes o) const {
        return each([&](int lane) { return v[lane] - o.v[lane]; });
    }
    Lanes times(Lanes o) const {
        return each([&](int lane) { return v[lane] * o.v[lane]; });
    }
    Lanes over(Lanes o) const {
        return each([&](int lane) { return v[lane] / o.v[lane]; });
    }
    Lanes max(Lanes o) const {
        return each([&](int lane) { return v[lane] > o.v[lane] ? v[lane] : o.v[lane]; });
    }
    Lanes times_plus(Lanes factor, Lanes term) const {
        return each([&](int lane) { return __builtin_fmaf(v[lane], factor.v[lane], term.v[lane]); });
    }
    Lanes rounded() const {
        return each([&](int lane) { return __builtin_nearbyintf(v[lane]); });
    }
    Lanes scaled_by_power(Lanes powers) const {
        return each([&](int lane) { return __builtin_ldexpf(v[lane], static_cast<int>(powers.v[lane])); });
    }
    float most() const {
        float most = v[0];
        for (int lane = 1; lane < kLanes; ++lane) most = v[lane] > most ? v[lane] : most;
        return most;
    }
    // Stores whole numbers as codes and returns their sum.
    std::int32_t store_codes(std::int8_t* to) const {
        std::int32_t total = 0;
        for (int lane = 0; lane < kLanes; ++lane) {
            to[lane] = static_cast<std::int8_t>(v[lane]);
            total += to[lane];
        }
        return total;
    }
    // Adds the upper half to the lower one until one is left.
    float sum() const {
        Lanes rest = *this;
        for (int width = kLanes / 2; width > 0; width /= 2)
            for (int lane = 0; lane < width; ++lane) rest.v[lane] = rest.v[lane] + rest.v[lane + width];
        return rest.v[0];
    }
};

inline Lanes sums_of(const Lanes* parts) {
    return Lanes::each([=](int lane) { return parts[lane].sum(); });
}

float f16(std::uint16_t bits) {
    const float sign = (bits & 0x8000) != 0 ? -1.0f : 1.0f;
    const int exponent = (bits >> 10) & 31, fraction = bits & 1023;
    if (exponent == 0) return sign * __builtin_ldexpf(static_cast<float>(fraction), -24);
    return sign * __builtin_ldexpf(static_cast<float>(fraction + 1024), exponent - 25);
}

int code_at(const PackedMatrix& matrix, const std::uint8_t* codes, int input, int lane) {
    const int step = input / kStepInputs, inner = lane * kStepInputs + input % kStepInputs;
    if (matrix.bits == 8) return codes[step * 64 + inner] - matrix.offset();
    const int both = codes[step / 2 * 64 + inner];
    return (step % 2 == 0 ? both & 15 : both >> 4) - matrix.offset();
}

template <int kRows>
void multiply_block(const PackedMatrix& matrix, int block, const QuantisedRows& rows, int first_row, Lanes* out) {
    const std::uint8_t* codes = matrix.codes + block * matrix.block_bytes();
    const std::uint16_t* scales = matrix.scales + static_cast<std::size_t>(block) * matrix.groups() * kLanes;
    for (int row = 0; row < kRows; ++row) {
        const std::int8_t* values = rows.codes + static_cast<std::size_t>(first_row + row) * rows.inputs;
        const float* row_scales = rows.scales_of(first_row + row);
        out[row] = Lanes::all(0.0f);
        for (int group = 0; group < matrix.groups(); ++group) {
            const std::uint8_t* group_codes = codes + group * matrix.group_bytes();
            const Lanes products = Lanes::each([&](int lane) {
                std::int32_t sum = 0;
                for (int input = 0; input < matrix.group; ++input)
                    sum += code_at(matrix, group_codes, input, lane) * values[group * matrix.group + input];
                return static_cast<float>(sum);
            });
            const Lanes scale = Lanes::each([&](int lane) { return f16(scales[group * kLanes + lane]); });
            out[row] = products.times_plus(scale.times(Lanes::all(row_scales[group * kLanes])), out[row]);
        }
    }
}

inline void transpose(Lanes* rows) {
    for (int row = 0; row < kLanes; ++row)
        for (int lane = 0; lane < row; ++lane) {
            const float other = rows[row].v[lane];
            rows[row].v[lane] = rows[lane].v[row];
            rows[lane].v[row] = other;
        }
}
// 16 whole numbers.
struct Whole {
    std::int32_t v[kLanes];

    static Whole all(std::int32_t value) {
        Whole result;
        for (std::int32_t& one : result.v) one = value;
        return result;
    }
    void add(const std::uint8_t* bytes, Whole weight) {
        for (int lane = 0; lane < kLanes; ++lane) v[lane] += bytes[lane] * weight.v[lane];
    }
    void store_bytes(std::uint8_t* to) const {
        for (int lane = 0; lane < kLanes; ++lane) {
            const std::int32_t whole = v[lane] >> kWeightBits;
            to[lane] = static_cast<std::uint8_t>(whole < 0 ? 0 : whole > 255 ? 255 : whole);
        }
    }
};
constexpr int kHeadsAtOnce = 1, kPairsAtOnce = 1;

#include "finish_body.hpp"
#include "path_body.hpp"
#include "rows_attention_body.hpp"
#include "codes_body.hpp"
#include "pooling_body.hpp"
#include "mix_body.hpp"

}  // namespace

const KernelPath* plain_path() {
    static const KernelPath path = {"plain", norm, layer_norm, quantise, multiply, rotate, attend, attend_rows, join,
                                    mix, multiply_codes, pool, multiply_vector, activate};
    return &path;
}

}  // namespace smallsight
