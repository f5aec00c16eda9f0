#include "map_steps.hpp"

#include <algorithm>
#include <cstring>
#include <stdexcept>

namespace smallsight {

namespace {

int rounded_up(int value, int step) { return (value + step - 1) / step * step; }

std::uint16_t bf16_of(float value) {
    std::uint32_t bits = 0;
    std::memcpy(&bits, &value, 4);
    return static_cast<std::uint16_t>((bits + 0x7fff + ((bits >> 16) & 1)) >> 16);
}

// Where a filter's channel is: of each 32, the even ones come first.
int woven_place(int channel) { return channel / 32 * 32 + channel % 2 * 16 + channel % 32 / 2; }

}  // namespace

PackedLayer::PackedLayer(const std::vector<float>& weights, int outputs, int steps_count, const float* bias_values)
    : steps(steps_count), pairs((outputs + kPairOutputs - 1) / kPairOutputs) {
    bias.assign(static_cast<std::size_t>(pairs) * kPairOutputs, 0.0f);
    std::copy(bias_values, bias_values + outputs, bias.begin());
    tiles.assign(static_cast<std::size_t>(pairs) * steps * kPairOutputs * kStepValues, 0);
    for (int output = 0; output < outputs; ++output) {
        for (int input = 0; input < steps * kStepValues; ++input) {
            const int step = input / kStepValues, within = input % kStepValues, column = output % 16;
            const std::size_t pair = static_cast<std::size_t>(output / kPairOutputs);
            const std::size_t tile = (pair * steps + step) * 2 + output % kPairOutputs / 16;
            tiles[tile * 512 + within / 2 * 32 + column * 2 + within % 2] =
                bf16_of(weights[static_cast<std::size_t>(output) * steps * kStepValues + input]);
        }
    }
}

const std::uint16_t* PackedLayer::pair(int index) const {
    return tiles.data() + static_cast<std::size_t>(index) * steps * kPairOutputs * kStepValues;
}

LayerInputs inputs_of(const std::vector<int>& sources, const Maps& maps) {
    LayerInputs inputs;
    for (const int source : sources) {
        inputs.channels.push_back(maps.at(source).channels);
        if (inputs.stride != 0 && inputs.stride != maps.at(source).stride)
            throw std::invalid_argument("maps side by side have as many channels, up to padding");
        inputs.stride = maps.at(source).stride;
    }
    return inputs;
}

PackedLayer packed_pixels(const float* weights, const float* bias, int outputs, int inputs) {
    const int padded = rounded_up(inputs, kStepValues);
    std::vector<float> rows(static_cast<std::size_t>(outputs) * padded, 0.0f);
    for (int output = 0; output < outputs; ++output)
        std::copy_n(weights + static_cast<std::size_t>(output) * inputs, inputs,
                    rows.begin() + static_cast<std::size_t>(output) * padded);
    return {rows, outputs, padded / kStepValues, bias};
}

LayerStep::LayerStep(const LayerShape& shape, const LayerInputs& inputs, const float* weights, const float* bias,
                     Activation activation)
    : shape_(shape), activation_(activation) {
    const int run = rounded_up(shape.columns * inputs.stride, kStepValues);
    const int num_sources = static_cast<int>(inputs.channels.size());
    const int width = shape.rows * num_sources * run, square = shape.rows * shape.columns;
    for (int row = 0; row < shape.rows; ++row)
        for (int source = 0; source < num_sources; ++source)
            for (int value = 0; value < run; value += kStepValues) places_.push_back({source, row, value});
    std::vector<float> rows(static_cast<std::size_t>(shape.outputs) * width, 0.0f);
    for (int output = 0; output < shape.outputs; ++output) {
        const float* filter = weights + static_cast<std::size_t>(output) * shape.inputs * square;
        for (int source = 0, first = 0; source < num_sources; first += inputs.channels[source++])
            for (int channel = 0; channel < inputs.channels[source]; ++channel)
                for (int tap = 0; tap < square; ++tap)
                    rows[static_cast<std::size_t>(output) * width +
                         (tap / shape.columns * num_sources + source) * run + tap % shape.columns * inputs.stride +
                         channel] = filter[(first + channel) * square + tap];
    }
    layer = PackedLayer(rows, shape.outputs, width / kStepValues, bias);
}

MapSize LayerStep::size_of(const Maps& maps) const {
    const MapSize size = maps[sources[0]].size;
    for (const int source : sources)
        if (maps[source].size.height != size.height || maps[source].size.width != size.width)
            throw std::invalid_argument("maps side by side have one size: a picture's sides must be multiples of more");
    return shape_.over(size);
}

void LayerStep::compute(const Maps& maps, int unit) const {
    const Map& to = maps[target];
    std::vector<const std::uint16_t*> from(places_.size());
    const int source_stride = maps[sources[0]].stride;
    for (int x = 0; x < to.size.width; x += kPanelPixels) {
        for (std::size_t step = 0; step < places_.size(); ++step) {
            const Place& place = places_[step];
            from[step] = maps[sources[place.source]].at(unit * shape_.stride_y - shape_.pad_top + place.row,
                                                        x * shape_.stride_x - shape_.pad_left) +
                         place.value;
        }
        multiply_pixels({&layer, from.data(), static_cast<std::size_t>(shape_.stride_x) * source_stride,
                         std::min(kPanelPixels, to.size.width - x), to.at(unit, x),
                         static_cast<std::size_t>(to.stride), to.stride},
                        activation_);
    }
}

DepthwiseStep::DepthwiseStep(const LayerShape& shape, const float* weights, const float* bias)
    : shape_(shape), weight_stride_(rounded_up(shape.outputs, 32)) {
    const int taps = shape.rows * shape.columns;
    weights_.assign(static_cast<std::size_t>(taps) * weight_stride_, 0.0f);
    bias_.assign(weight_stride_, 0.0f);
    for (int channel = 0; channel < shape.outputs; ++channel) {
        bias_[woven_place(channel)] = bias[channel];
        for (int tap = 0; tap < taps; ++tap)
            weights_[static_cast<std::size_t>(tap) * weight_stride_ + woven_place(channel)] =
                weights[channel * taps + tap];
    }
}

void DepthwiseStep::compute(const Maps& maps, int unit) const {
    const Map &from = maps[sources[0]], &to = maps[target];
    DepthwiseRow row = {};
    row.from = from.at(unit * shape_.stride_y - shape_.pad_top, -shape_.pad_left);
    row.row = from.row();
    row.from_stride = from.stride;
    row.to = to.at(unit, 0);
    row.to_stride = to.stride;
    row.weights = weights_.data();
    row.weight_stride = weight_stride_;
    row.bias = bias_.data();
    row.channels = to.stride;
    row.rows = shape_.rows;
    row.columns = shape_.columns;
    row.stride_x = shape_.stride_x;
    row.pixels = to.size.width;
    filter_row(row);
}

MeanStep::MeanStep(int channels, int hidden, const float* narrow, const float* narrow_bias, const float* widen,
                   const float* widen_bias)
    : channels_(channels),
      hidden_(hidden),
      narrow_(narrow, narrow + static_cast<std::size_t>(hidden) * channels),
      narrow_bias_(narrow_bias, narrow_bias + hidden),
      widen_(widen, widen + static_cast<std::size_t>(hidden) * channels),
      widen_bias_(widen_bias, widen_bias + channels) {}

void MeanStep::compute(const Maps& maps, int) const {
    const Map &from = maps[sources[0]], &to = maps[target];
    std::vector<float> means(from.stride, 0.0f), inner(hidden_), scales(from.stride, 0.0f);
    for (int y = 0; y < from.size.height; ++y)
        for (int x = 0; x < from.size.width; ++x) add_to_sums(from.at(y, x), means.data(), from.stride);
    const float share = 1.0f / (static_cast<float>(from.size.height) * static_cast<float>(from.size.width));
    for (float& mean : means) mean *= share;
    for (int output = 0; output < hidden_; ++output) {
        float sum = narrow_bias_[output];
        for (int channel = 0; channel < channels_; ++channel)
            sum += narrow_[output * channels_ + channel] * means[channel];
        inner[output] = std::max(0.0f, sum);
    }
    for (int channel = 0; channel < channels_; ++channel) {
        float sum = widen_bias_[channel];
        for (int input = 0; input < hidden_; ++input) sum += widen_[channel * hidden_ + input] * inner[input];
        scales[channel] = std::min(1.0f, std::max(0.0f, slope * sum + offset)) + extra;
    }
    std::memcpy(to.at(0, 0), scales.data(), scales.size() * 4);
}

void ScaleStep::compute(const Maps& maps, int unit) const {
    const Map &from = maps[sources[0]], &to = maps[target];
    std::vector<float> scales(from.stride);
    std::memcpy(scales.data(), maps[sources[1]].at(0, 0), scales.size() * 4);
    for (int x = 0; x < to.size.width; ++x) scale_values(from.at(unit, x), scales.data(), to.at(unit, x), to.stride);
}

int MixingStep::units(const Maps& maps) const {
    const MapSize size = maps[target].size;
    return (size.height * size.width + kMixedPixels - 1) / kMixedPixels;
}

void MixingStep::compute(const Maps& maps, int unit) const {
    const Map &from = maps[sources[0]], &to = maps[target];
    const std::uint16_t* inputs[kMixedPixels];
    std::uint16_t* outputs[kMixedPixels];
    const int begin = unit * kMixedPixels, end = std::min(begin + kMixedPixels, to.size.height * to.size.width);
    for (int pixel = begin; pixel < end; ++pixel) {
        const int y = pixel / to.size.width, x = pixel % to.size.width;
        inputs[pixel - begin] = from.at(y, x);
        outputs[pixel - begin] = to.at(y, x);
    }
    mix_pixels({&first, &second, inputs, outputs, end - begin, from.stride, to.stride, adds_source}, inner, outer);
}

void LargestStep::compute(const Maps& maps, int unit) const {
    const Map &from = maps[sources[0]], &to = maps[target];
    const int count = to.size.width * to.stride;
    std::memcpy(to.at(unit, 0), from.at(unit, 0), static_cast<std::size_t>(count) * 2);
    for (int tap = 1; tap < side_ * side_; ++tap)
        largest_of(to.at(unit, 0), from.at(unit + tap / side_, tap % side_), to.at(unit, 0), count);
}

void EnlargeStep::compute(const Maps& maps, int unit) const {
    const Map &from = maps[sources[0]], &to = maps[target];
    for (int x = 0; x < to.size.width; ++x)
        std::memcpy(to.at(unit, x), from.at(unit / factor_, x / factor_), static_cast<std::size_t>(to.stride) * 2);
}

MapSize SumStep::size_of(const Maps& maps) const {
    const MapSize size = maps[sources[0]].size, smaller = maps[sources[1]].size;
    if (smaller.height * factor_ < size.height || smaller.width * factor_ < size.width)
        throw std::invalid_argument("a map that is added covers the other");
    return size;
}

void SumStep::compute(const Maps& maps, int unit) const {
    const Map &one = maps[sources[0]], &other = maps[sources[1]], &to = maps[target];
    for (int x = 0; x < to.size.width; ++x)
        sum_of(one.at(unit, x), other.at(unit / factor_, x / factor_), to.at(unit, x), to.stride);
}

}  // namespace smallsight
