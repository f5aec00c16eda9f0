// Products and sums over maps of bfloat16, for processors with AMX.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace smallsight {

enum class Activation { kNone, kRelu, kGelu, kLevels };  // levels: the sigmoid times 255, rounded down

constexpr int kStepValues = 32;  // inputs of a tile
constexpr int kPairOutputs = 32;  // outputs of two tiles
constexpr int kPanelPixels = 32;
constexpr int kMixedPixels = 128;  // whose inner values are kept at a time

// Weights in tiles: for each pair of 16 outputs and each step of 32 inputs two tiles of 1 KiB.
struct PackedLayer {
    int steps = 0;
    int pairs = 0;
    std::vector<std::uint16_t> tiles;
    std::vector<float> bias;

    PackedLayer() = default;
    // `weights` are [outputs, 32 * steps].
    PackedLayer(const std::vector<float>& weights, int outputs, int steps, const float* bias_values);
    const std::uint16_t* pair(int index) const;
    std::size_t bytes() const { return tiles.size() * 2 + bias.size() * 4; }
};

// One product for up to 32 pixels: where each step's inputs of the first pixel are, and where outputs go.
struct PixelProduct {
    const PackedLayer* layer;
    const std::uint16_t* const* from;  // [steps]
    std::size_t from_stride;           // values from a pixel's inputs to the next one's
    int pixels;                        // up to 32; as many as whole tiles need are read
    std::uint16_t* to;
    std::size_t to_stride;
    int outputs;  // that are written, a multiple of 16
};

// Products over whole pixels of a map, two in a row.
struct MixedPixels {
    const PackedLayer* first;
    const PackedLayer* second;
    const std::uint16_t* const* from;  // [pixels]
    std::uint16_t* const* to;          // [pixels]
    int pixels;                        // up to 128
    int inputs;                        // of a pixel, padded to a multiple of 16
    int outputs;                       // a multiple of 16
    bool adds_source;
};

// One row of a layer that has a filter for each channel.
struct DepthwiseRow {
    const std::uint16_t* from;  // the first pixel's first input, in the border where there is one
    std::size_t row;            // values from a row of the map to the next
    std::size_t from_stride;
    std::uint16_t* to;
    std::size_t to_stride;
    const float* weights;  // [rows, columns, weight_stride], of each 32 channels the even ones first
    int weight_stride;
    const float* bias;     // in the same order
    int channels;          // padded to a multiple of 16
    int rows;
    int columns;
    int stride_x;
    int pixels;
};

void begin_maps();  // by each thread before it computes, and `end_maps` after
void end_maps();
void multiply_pixels(const PixelProduct& product, Activation activation);
void mix_pixels(const MixedPixels& pixels, Activation inner, Activation outer);
void filter_row(const DepthwiseRow& row);
void pixels_from_bytes(const std::uint8_t* rgb, std::uint16_t* to, int pixels);  // of four channels, the last zero
void add_to_sums(const std::uint16_t* values, float* sums, int count);           // sums in order
void scale_values(const std::uint16_t* values, const float* scales, std::uint16_t* to, int count);
void largest_of(const std::uint16_t* one, const std::uint16_t* other, std::uint16_t* to, int count);
void sum_of(const std::uint16_t* one, const std::uint16_t* other, std::uint16_t* to, int count);
void as_floats(const std::uint16_t* values, float* to, int count);

}  // namespace smallsight
