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
    const int bytes = number == Number::kInt8 ? 1 : 2, in_tile = 64 / bytes, together = 4 / bytes;
    const std::size_t tile = static_cast<std::size_t>(input / in_tile) * 2 + output % kPanel / 16;
    return tile * kTileBytes + input % in_tile / together * 64 + output % 16 * 4 + input % together * bytes;
}

struct Packing {
    const DenseMatrix& dense;
    const PanelMatrix& packed;
    std::uint8_t* tiles;
    float* scales;
    float* weighted_sums;
    float* group_scales;

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
        float* groups = group_scales + (packed.scales_of_groups(segment, output / kPanel) - packed.group_scales);
        for (int begin = 0; begin < count; begin += kStepValues, groups += kPanel)
            groups[output % kPanel] = pack_codes(values, begin, std::min(count, begin + kStepValues), output, panel,
                                                 weighted_sums[place]);
    }

    // Packs an output's inputs [begin, end) with the scale that it returns; adds the sum of what they stand for.
    float pack_codes(const float* values, int begin, int end, int output, std::uint8_t* panel, float& sum_of_values) {
        float largest = 0.0f;
        for (int at = begin; at < end; ++at) largest = std::max(largest, std::fabs(values[at]));
        const float scale = largest / kLargestCode, inverse = scale > 0.0f ? 1.0f / scale : 0.0f;
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
    float* scales = number == Number::kInt8 ? floats(scaled) : nullptr;
    float* weighted_sums = number == Number::kInt8 ? floats(scaled) : nullptr;
    float* group_scales = dense.in_groups ? floats(scaled * packed.segments.steps) : nullptr;
    float* bias = floats(packed.outputs);
    packed.scales = scales;
    packed.weighted_sums = weighted_sums;
    packed.group_scales = group_scales;
    packed.bias = bias;
    Packing packing = {dense, packed, tiles, scales, weighted_sums, group_scales};
    for (int output = 0; output < packed.outputs; ++output) {
        if (dense.order[output] < 0) continue;
        if (dense.bias != nullptr) bias[output] = dense.bias[dense.order[output]];
        for (int segment = 0; segment < packed.segments.count; ++segment)
            if (segment * packed.segments.segment_values() < dense.inputs) packing.pack(output, segment);
    }
    return packed;
}

}  // namespace smallsight
