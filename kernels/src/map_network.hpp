// A network of convolutions over maps of bfloat16, as text in pictures is found and read with.
//
// A map is [height, width, channels] with a border of zeros, so that products read their inputs where they lie. Sizes
// follow from the picture's and may differ in each run; nothing is prepared for a size.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "map_path.hpp"
#include "thread_team.hpp"

namespace smallsight {

struct MapSize {
    int height = 0;
    int width = 0;
};

// What one map is, and where it lies in the current run. Channels are padded with zeros to a multiple of 16.
struct Map {
    int channels = 0;
    int stride = 0;  // values from a pixel to the next
    int border = 0;  // pixels on each side
    MapSize size;
    std::uint16_t* origin = nullptr;  // the pixel at the top left, inside the border
    int first_step = 0;
    int last_step = 0;
    int slot = -1;

    std::size_t row() const { return static_cast<std::size_t>(size.width + 2 * border) * stride; }
    std::uint16_t* at(int y, int x) const {
        return origin + static_cast<std::ptrdiff_t>(y) * static_cast<std::ptrdiff_t>(row()) +
               static_cast<std::ptrdiff_t>(x) * stride;
    }
    std::size_t values() const;
    void clear_border() const;
};

using Maps = std::vector<Map>;

// Computes one map from others. `units` may be computed in any order and by any thread, after all of the step before.
class MapStep {
   public:
    virtual ~MapStep() = default;
    virtual MapSize size_of(const Maps& maps) const = 0;
    virtual int units(const Maps& maps) const = 0;
    virtual void compute(const Maps& maps, int unit) const = 0;

    std::vector<int> sources;
    int target = -1;
};

// A layer's weights, [outputs, inputs, rows, columns], and how it moves over a map.
struct LayerShape {
    int outputs = 0;
    int inputs = 0;
    int rows = 1;
    int columns = 1;
    int stride_y = 1;
    int stride_x = 1;
    int pad_top = 0;
    int pad_left = 0;
    int pad_bottom = 0;
    int pad_right = 0;

    MapSize over(MapSize from) const {
        return {(from.height + pad_top + pad_bottom - rows) / stride_y + 1,
                (from.width + pad_left + pad_right - columns) / stride_x + 1};
    }
    int most_pad() const;
};

class MapNetwork {
   public:
    explicit MapNetwork(int threads);
    MapNetwork(const MapNetwork& other, int threads);  // with the same weights, to run at the same time
    MapNetwork(const MapNetwork&) = delete;
    MapNetwork& operator=(const MapNetwork&) = delete;

    // Each adds a step and returns the number of its map; map 0 is the picture.
    int add_layer(const std::vector<int>& sources, const LayerShape& shape, const float* weights, const float* bias,
                  Activation activation);
    int add_depthwise(int source, const LayerShape& shape, const float* weights, const float* bias);
    // Scales channels by what two layers make of their means: hardsigmoid, with one more where `adds_one`.
    int add_scale(int source, int hidden, const float* narrow, const float* narrow_bias, const float* widen,
                  const float* widen_bias, float slope, float offset, bool adds_one);
    // Two layers over single pixels; adds their input where `adds_source`.
    int add_mixing(int source, int hidden, int outputs, const float* first, const float* first_bias,
                   const float* second, const float* second_bias, Activation inner, bool adds_source,
                   Activation outer);
    int add_largest(int source, int side);  // of squares beginning at each pixel; inputs must not be negative
    int add_enlarged(int source, int factor);
    int add_sum(int source, int smaller, int factor);  // the other map is enlarged first

    void keep(int map);  // it is read after a run
    int channels_of(int map) const { return maps_.at(map).channels; }

    // Computes all maps from RGB bytes [height, width, 3], which become -1 to 1.
    void run(const std::uint8_t* pixels, int height, int width);
    int num_maps() const { return static_cast<int>(maps_.size()); }
    const Map& map(int number) const { return maps_.at(number); }

    std::size_t weight_bytes() const { return weight_bytes_; }
    std::size_t map_bytes() const;

   private:
    int add(std::shared_ptr<MapStep> step, std::vector<int> sources, int channels, int pad);
    void assign_slots();
    void place(MapSize picture);
    void work(Turn& turn);

    Maps maps_;
    std::vector<std::shared_ptr<const MapStep>> steps_;
    std::vector<std::vector<std::uint16_t>> slots_;
    std::vector<bool> is_kept_;
    bool has_slots_ = false;
    const std::uint8_t* pixels_ = nullptr;
    std::size_t weight_bytes_ = 0;
    ThreadTeam team_;
};

}  // namespace smallsight
