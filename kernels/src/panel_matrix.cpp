#include "panel_matrix.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <stdexcept>

namespace smallsight {

namespace {

constexpr float kLargestCode = 127.0f;
constexpr float kShift = 12582912.0f;  // 1.5 * 2**23: what is added to it is rounded to a whole number

std::uint16_t rounded_to_bf16(float value) {
    std::uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    return static_cast<std::uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

// Returns where an input of an output lies in its panel.
std::size_t place_of(Number number, int output, int input) {
    const int bytes = number == Number::kBf16 ? 2 : 1, in_tile = 64 / bytes, together = 4 / bytes;
    const std::size_t tile = static_cast<std::size_t>(input / in_tile) * 2 + output % kPanel / 16;
    return tile * kTileBytes + input % in_tile / together * 64 + output % 16 * 4 + input % together * bytes;
}

// Returns the largest sum of four inputs that have one sign, of those whose products are added in 16 bits.
float most_of_fours(const float* values, int begin, int end, float inverse, bool rounds) {
    float most = 0.0f;
    for (int at = begin; at < end; at += 8)
        for (int part = 0; part < 4; part += 2) {
            float above = 0.0f, below = 0.0f;
            for (const int one : {at + part, at + part + 1, at + part + 4, at + part + 5}) {
                if (one >= end) continue;
                float value = values[one] * inverse;
                if (rounds) value = (value + kShift) - kShift;
                above += std::max(value, 0.0f);
                below -= std::min(value, 0.0f);
            }
            most = std::max(most, std::max(above, below));
        }
    return most;
}

// Returns the scale, larger where four codes would have too large a sum: rounding adds at most 2 to it.
float scale_for_fours(const float* values, int begin, int end, float scale) {
    if (scale == 0.0f || most_of_fours(values, begin, end, 1.0f / scale, true) <= kMostOfFour) return scale;
    constexpr float kBeforeRounding = kMostOfFour - 2.01f;
    return scale * most_of_fours(values, begin, end, 1.0f / scale, false) / kBeforeRounding;
}

struct Packing {
    const DenseMatrix& dense;
    const PanelMatrix& packed;
    std::uint8_t* tiles;
    float* scales;
    float* weighted_sums;
    float* group_scales;
    std::int32_t* group_sums;

    void pack(int output, int segment) {
        const int width = packed.segments.segment_values(), begin = segment * width;
        const int count = std::min(width, dense.inputs - begin);
        const float* values = dense.values + static_cast<std::size_t>(dense.order[output]) * dense.inputs + begin;
        std::uint8_t* panel = tiles + (packed.panel(segment, output / kPanel) - packed.tiles);
        if (packed.number == Number::kBf16) {
            for (int at = 0; at < count; ++at) {
                const std::uint16_t bits = rounded_to_bf16(values[at]);
                std::memcpy(panel + place_of(packed.number, output, at), &bits, sizeof bits);
            }
            return;
        }
        const std::size_t place = static_cast<std::size_t>(segment) * packed.outputs + output;
        if (!dense.in_groups) {
            scales[place] = pack_codes(values, 0, count, output, panel, weighted_sums[place]);
            return;
        }
        scales[place] = 1.0f;
        std::size_t group = packed.first_group(segment, output / kPanel) + output % kPanel;
        for (int begin = 0; begin < count; begin += kStepValues, group += kPanel) {
            const int end = std::min(count, begin + kStepValues);
            group_scales[group] = pack_codes(values, begin, end, output, panel, weighted_sums[place]);
            if (group_sums != nullptr) group_sums[group] = -sum_of_codes(panel, output, begin, end);
        }
    }

    std::int32_t sum_of_codes(const std::uint8_t* panel, int output, int begin, int end) const {
        std::int32_t sum = 0;
        for (int at = begin; at < end; ++at)
            sum += static_cast<std::int8_t>(panel[place_of(packed.number, output, at)]);
        return sum;
    }

    // Packs an output's inputs [begin, end) with the scale that it returns; adds the sum of what they stand for.
    float pack_codes(const float* values, int begin, int end, int output, std::uint8_t* panel, float& sum_of_values) {
        float largest = 0.0f;
        for (int at = begin; at < end; ++at) largest = std::max(largest, std::fabs(values[at]));
        float scale = largest / kLargestCode;
        if (packed.number == Number::kInt7) scale = scale_for_fours(values, begin, end, scale);
        const float inverse = scale > 0.0f ? 1.0f / scale : 0.0f;
        std::int32_t sum = 0;
        for (int at = begin; at < end; ++at) {
            const int code = static_cast<int>((values[at] * inverse + kShift) - kShift);
            panel[place_of(packed.number, output, at)] = static_cast<std::uint8_t>(code);
            sum += code;
        }
        sum_of_values += scale * static_cast<float>(sum);
        return scale;
    }
};

}  // namespace

Segments segments_of(int inputs, int most_steps) {
    const int steps = padded_to(inputs, kStepValues) / kStepValues;
    const int count = (steps + most_steps - 1) / most_steps;
    return {count, (steps + count - 1) / count};
}

PanelMatrix pack_panels(const DenseMatrix& dense, Number number, int most_steps, Arena& arena) {
    if (dense.order.size() % kPanel != 0) throw std::invalid_argument("outputs must be padded to whole panels");
    PanelMatrix packed;
    packed.number = number;
    packed.outputs = static_cast<int>(dense.order.size());
    packed.segments = segments_of(dense.inputs, most_steps);
    std::uint8_t* tiles = arena.take(packed.segments.count * packed.panels() * packed.panel_bytes());
    packed.tiles = tiles;
    const auto floats = [&](std::size_t count) { return reinterpret_cast<float*>(arena.take(count * sizeof(float))); };
    const std::size_t scaled = static_cast<std::size_t>(packed.segments.count) * packed.outputs;
    float* scales = number == Number::kBf16 ? nullptr : floats(scaled);
    float* weighted_sums = number == Number::kBf16 ? nullptr : floats(scaled);
    float* group_scales = dense.in_groups ? floats(scaled * packed.segments.steps) : nullptr;
    auto* group_sums =
        number == Number::kInt7 ? reinterpret_cast<std::int32_t*>(floats(scaled * packed.segments.steps)) : nullptr;
    float* bias = floats(packed.outputs);
    packed.scales = scales;
    packed.weighted_sums = weighted_sums;
    packed.group_scales = group_scales;
    packed.group_sums = group_sums;
    packed.bias = bias;
    Packing packing = {dense, packed, tiles, scales, weighted_sums, group_scales, group_sums};
    for (int output = 0; output < packed.outputs; ++output) {
        if (dense.order[output] < 0) continue;
        if (dense.bias != nullptr) bias[output] = dense.bias[dense.order[output]];
        for (int segment = 0; segment < packed.segments.count; ++segment)
            if (segment * packed.segments.segment_values() < dense.inputs) packing.pack(output, segment);
    }
    return packed;
}

}  // namespace smallsight
