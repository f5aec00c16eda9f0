#include "map_network.hpp"

#include <algorithm>
#include <cstring>
#include <stdexcept>

#include "map_steps.hpp"

namespace smallsight {

namespace {

constexpr int kPictureChannels = 4;  // the fourth is zero
constexpr int kSlackValues = 2 * kPanelPixels * 1024;  // after a map: whole tiles are read

}  // namespace

std::size_t Map::values() const {
    return row() * static_cast<std::size_t>(size.height + 2 * border) + kSlackValues;
}

void Map::clear_border() const {
    if (border == 0) return;
    const std::size_t side = static_cast<std::size_t>(border) * stride * 2, row_bytes = row() * 2;
    for (int y = 0; y < border; ++y) {
        std::memset(at(y - border, -border), 0, row_bytes);
        std::memset(at(size.height + y, -border), 0, row_bytes);
    }
    for (int y = 0; y < size.height; ++y) {
        std::memset(at(y, -border), 0, side);
        std::memset(at(y, size.width), 0, side);
    }
}

int LayerShape::most_pad() const { return std::max({pad_top, pad_left, pad_bottom, pad_right}); }

MapNetwork::MapNetwork(int threads) : team_(std::max(1, threads), [this](Turn& turn) { work(turn); }) {
    Map picture;
    picture.channels = 3;
    picture.stride = kPictureChannels;
    maps_.push_back(picture);
    is_kept_.push_back(false);
}

MapNetwork::MapNetwork(const MapNetwork& other, int threads)
    : maps_(other.maps_),
      steps_(other.steps_),
      is_kept_(other.is_kept_),
      weight_bytes_(other.weight_bytes_),
      team_(std::max(1, threads), [this](Turn& turn) { work(turn); }) {
    for (Map& map : maps_) map.origin = nullptr;
}

int MapNetwork::add(std::shared_ptr<MapStep> step, std::vector<int> sources, int channels, int pad) {
    if (has_slots_) throw std::logic_error("a network that has run cannot grow");
    const int number = static_cast<int>(steps_.size());
    for (const int source : sources) {
        maps_.at(source).last_step = number;
        maps_.at(source).border = std::max(maps_.at(source).border, pad);
    }
    Map map;
    map.channels = channels;
    map.stride = (channels + 15) / 16 * 16;
    map.first_step = map.last_step = number;
    step->sources = std::move(sources);
    step->target = static_cast<int>(maps_.size());
    steps_.push_back(std::move(step));
    maps_.push_back(map);
    is_kept_.push_back(false);
    return static_cast<int>(maps_.size()) - 1;
}

int MapNetwork::add_layer(const std::vector<int>& sources, const LayerShape& shape, const float* weights,
                          const float* bias, Activation activation) {
    auto step = std::make_shared<LayerStep>(shape, inputs_of(sources, maps_), weights, bias, activation);
    weight_bytes_ += step->layer.bytes();
    return add(std::move(step), sources, shape.outputs, shape.most_pad());
}

int MapNetwork::add_depthwise(int source, const LayerShape& shape, const float* weights, const float* bias) {
    auto step = std::make_shared<DepthwiseStep>(shape, weights, bias);
    weight_bytes_ += step->bytes();
    return add(std::move(step), {source}, shape.outputs, shape.most_pad());
}

int MapNetwork::add_scale(int source, int hidden, const float* narrow, const float* narrow_bias, const float* widen,
                          const float* widen_bias, float slope, float offset, bool adds_one) {
    const int channels = channels_of(source);
    auto step = std::make_shared<MeanStep>(channels, hidden, narrow, narrow_bias, widen, widen_bias);
    step->slope = slope;
    step->offset = offset;
    step->extra = adds_one ? 1.0f : 0.0f;
    // Floats, each in the place of two values.
    const int scales = add(std::move(step), {source}, 2 * maps_.at(source).stride, 0);
    return add(std::make_shared<ScaleStep>(), {source, scales}, channels, 0);
}

int MapNetwork::add_mixing(int source, int hidden, int outputs, const float* first, const float* first_bias,
                           const float* second, const float* second_bias, Activation inner, bool adds_source,
                           Activation outer) {
    auto step = std::make_shared<MixingStep>();
    step->first = packed_pixels(first, first_bias, hidden, channels_of(source));
    step->second = packed_pixels(second, second_bias, outputs, hidden);
    step->inner = inner;
    step->outer = outer;
    step->adds_source = adds_source;
    weight_bytes_ += step->first.bytes() + step->second.bytes();
    return add(std::move(step), {source}, outputs, 0);
}

int MapNetwork::add_largest(int source, int side) {
    return add(std::make_shared<LargestStep>(side), {source}, channels_of(source), side - 1);
}

int MapNetwork::add_enlarged(int source, int factor) {
    return add(std::make_shared<EnlargeStep>(factor), {source}, channels_of(source), 0);
}

int MapNetwork::add_sum(int source, int smaller, int factor) {
    return add(std::make_shared<SumStep>(factor), {source, smaller}, channels_of(source), 0);
}

void MapNetwork::keep(int map) { is_kept_.at(map) = true; }

std::size_t MapNetwork::map_bytes() const {
    std::size_t bytes = 0;
    for (const auto& slot : slots_) bytes += slot.size() * 2;
    return bytes;
}

// Maps that are never needed at the same time share memory.
void MapNetwork::assign_slots() {
    std::vector<int> free_after;  // the last step that needs each slot
    for (std::size_t number = 0; number < maps_.size(); ++number) {
        Map& map = maps_[number];
        const int end = is_kept_[number] ? static_cast<int>(steps_.size()) : map.last_step;
        const int begin = number == 0 ? -1 : map.first_step;
        std::size_t slot = 0;
        while (slot < free_after.size() && free_after[slot] >= begin) ++slot;
        if (slot == free_after.size()) free_after.push_back(0);
        free_after[slot] = end;
        map.slot = static_cast<int>(slot);
    }
    slots_.resize(free_after.size());
    has_slots_ = true;
}

void MapNetwork::place(MapSize picture) {
    if (!has_slots_) assign_slots();
    maps_[0].size = picture;
    std::vector<std::size_t> values(slots_.size(), 0);
    for (const auto& step : steps_) {
        maps_[step->target].size = step->size_of(maps_);
        if (maps_[step->target].size.height < 1 || maps_[step->target].size.width < 1)
            throw std::invalid_argument("a picture is too small for this network");
    }
    for (const Map& map : maps_) values[map.slot] = std::max(values[map.slot], map.values());
    for (std::size_t slot = 0; slot < slots_.size(); ++slot)
        if (slots_[slot].size() < values[slot]) slots_[slot].resize(values[slot]);
    for (Map& map : maps_)
        map.origin = slots_[map.slot].data() + map.border * (map.row() + static_cast<std::size_t>(map.stride));
}

void MapNetwork::run(const std::uint8_t* pixels, int height, int width) {
    place({height, width});
    pixels_ = pixels;
    team_.run();
}

void MapNetwork::work(Turn& turn) {
    begin_maps();
    const Map& picture = maps_[0];
    team_.share(turn, [&] { return picture.size.height; }, [&](int y) {
        if (y == 0) picture.clear_border();
        pixels_from_bytes(pixels_ + static_cast<std::size_t>(y) * picture.size.width * 3, picture.at(y, 0),
                          picture.size.width);
    });
    for (const auto& step : steps_) {
        team_.share(turn, [&] { return step->units(maps_); }, [&](int unit) {
            if (unit == 0) maps_[step->target].clear_border();
            step->compute(maps_, unit);
        });
    }
    end_maps();
}

}  // namespace smallsight
