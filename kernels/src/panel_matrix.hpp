// A matrix of the encoder in the layout that tile products read, and rows of activations in the matching layout.
//
// Everything is counted in steps of 64 inputs: one tile of 16 rows in int8, two in bfloat16. Tiles of 1 KiB follow
// one another, so that a product reads memory in order.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "packed_matrix.hpp"

namespace smallsight {

constexpr int kPanel = 32;            // outputs, or rows, of a panel: two tiles
constexpr int kStepValues = 64;       // inputs of a step
constexpr int kTileBytes = 1024;      // 16 rows of 64 bytes

// In kInt8, kInt7 and kInt16 weights are codes of 8 bits, and activations have as many bits as the name says.
//
// Those of 7 bits have a scale and a zero for 64 inputs of a row, and the sum of four products fits in 16 bits: their
// weights of one sign have at most `kMostOfFour` in all. The four are bytes 0, 1, 4 and 5, or 2, 3, 6 and 7, of eight
// inputs. Those of 16 bits have a sign. Both have weights with a scale for 64 inputs.
enum class Number { kInt8, kInt7, kInt16, kBf16 };

constexpr int kMostOfFour = 258;  // times 127 is less than 2**15
constexpr int kMostInt7 = 127;    // the largest code of an activation
constexpr int kMostInt16 = 32767;

// How many inputs a product has, and how they are cut.
struct Segments {
    int count = 0;
    int steps = 0;  // of each

    int steps_in_all() const { return count * steps; }
    int values() const { return count * steps * kStepValues; }
    int segment_values() const { return steps * kStepValues; }
};

inline int tiles_of_step(Number number) { return number == Number::kBf16 ? 2 : 1; }
inline int row_tiles_of_step(Number number) { return number == Number::kBf16 || number == Number::kInt16 ? 2 : 1; }

// Steps of a segment, at most: its panels have 24 KiB, to stay in the L1 cache. In int8 its inputs share a scale.
inline int most_steps(Number number) { return number == Number::kBf16 ? 6 : 12; }

Segments segments_of(int inputs, int most_steps);

inline int padded_to(int size, int unit) { return (size + unit - 1) / unit * unit; }

// Weights: [segment][panel][step and its tiles][2 tiles of 16 outputs][16 x 64 bytes]. In a tile's row are 4 bytes
// (4 inputs in int8, 2 in bfloat16) of each of the 16 outputs.
struct PanelMatrix {
    Number number = Number::kBf16;
    int outputs = 0;  // padded to panels
    Segments segments;
    const std::uint8_t* tiles = nullptr;   // in an arena
    const float* scales = nullptr;         // of codes: [segment][output]
    const float* weighted_sums = nullptr;  // of codes: [segment][output], their sum times the scale
    const std::int32_t* group_sums = nullptr;  // int7: minus the sum of 64 codes, in the order of `group_scales`
    const float* bias = nullptr;           // [output]
    const float* group_scales = nullptr;   // codes with a scale for 64 inputs: [segment][panel][step][32 outputs]

    int panels() const { return outputs / kPanel; }
    std::size_t panel_bytes() const {
        return static_cast<std::size_t>(segments.steps) * tiles_of_step(number) * 2 * kTileBytes;
    }
    const std::uint8_t* panel(int segment, int panel) const {
        return tiles + (static_cast<std::size_t>(segment) * panels() + panel) * panel_bytes();
    }
    std::size_t first_group(int segment, int panel) const {
        return (static_cast<std::size_t>(segment) * panels() + panel) * segments.steps * kPanel;
    }
    const float* scales_of_groups(int segment, int panel) const {
        return group_scales == nullptr ? nullptr : group_scales + first_group(segment, panel);
    }
    std::size_t num_bytes() const {
        const int groups = (group_scales == nullptr ? 0 : segments.steps_in_all()) * (group_sums == nullptr ? 1 : 2);
        return segments.count * panels() * panel_bytes() +
               sizeof(float) * outputs * (number == Number::kBf16 ? 1 : 2 * segments.count + 1 + groups);
    }
};

// Dense rows to be packed; output o of the packed matrix is row `order[o]`, or zeros for -1. With `in_groups` int8 has a
// scale for 64 inputs besides those of segments, which are 1.
struct DenseMatrix {
    const float* values;  // [rows][inputs]
    const float* bias;    // [rows], or null
    int inputs;
    std::vector<int> order;
    bool in_groups = false;
};

PanelMatrix pack_panels(const DenseMatrix& dense, Number number, int most_steps, Arena& arena);

// Activations of 32 rows: [segment][step and its tiles][2 tiles of 16 rows][16 x 64 bytes]. In int8 codes are
// unsigned, a value is `scale * (code - zero)`, and `zeros` are `scale * zero`.
struct RowPanel {
    std::uint8_t* tiles;
    float* scales;  // int8: [segment][32], int7: [segment][step][32]
    float* zeros;   // the same; in int7 the zeros' codes themselves
};

// How many scales a row has in a segment.
inline int scales_of_row(Number number, const Segments& segments) {
    return number == Number::kInt7 ? segments.steps : 1;
}

inline std::size_t row_segment_bytes(Number number, const Segments& segments) {
    return static_cast<std::size_t>(segments.steps) * row_tiles_of_step(number) * 2 * kTileBytes;
}

}  // namespace smallsight
