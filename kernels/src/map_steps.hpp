// The kinds of steps of a network of maps.
#pragma once

#include <vector>

#include "map_network.hpp"

namespace smallsight {

// Several maps of one size side by side, each with its channels.
struct LayerInputs {
    std::vector<int> channels;
    int stride = 0;
};

LayerInputs inputs_of(const std::vector<int>& sources, const Maps& maps);

// Weights [outputs, inputs] of a layer over single pixels.
PackedLayer packed_pixels(const float* weights, const float* bias, int outputs, int inputs);

// A layer over squares of pixels: for each row of a square, each source's pixels of it are one run of inputs.
class LayerStep : public MapStep {
   public:
    LayerStep(const LayerShape& shape, const LayerInputs& inputs, const float* weights, const float* bias,
              Activation activation);
    MapSize size_of(const Maps& maps) const override;
    int units(const Maps& maps) const override { return maps[target].size.height; }
    void compute(const Maps& maps, int unit) const override;

    PackedLayer layer;

   private:
    struct Place {
        int source;
        int row;
        int value;  // from the run's first
    };

    LayerShape shape_;
    Activation activation_;
    std::vector<Place> places_;  // of each step's inputs
};

class DepthwiseStep : public MapStep {
   public:
    DepthwiseStep(const LayerShape& shape, const float* weights, const float* bias);
    MapSize size_of(const Maps& maps) const override { return shape_.over(maps[sources[0]].size); }
    int units(const Maps& maps) const override { return maps[target].size.height; }
    void compute(const Maps& maps, int unit) const override;
    std::size_t bytes() const { return (weights_.size() + bias_.size()) * 4; }

   private:
    LayerShape shape_;
    int weight_stride_;
    std::vector<float> weights_;
    std::vector<float> bias_;
};

// Turns the means of channels into scales, floats in the target's values.
class MeanStep : public MapStep {
   public:
    MeanStep(int channels, int hidden, const float* narrow, const float* narrow_bias, const float* widen,
             const float* widen_bias);
    MapSize size_of(const Maps&) const override { return {1, 1}; }
    int units(const Maps&) const override { return 1; }
    void compute(const Maps& maps, int unit) const override;

    float slope = 0.2f;
    float offset = 0.5f;
    float extra = 0.0f;

   private:
    int channels_;
    int hidden_;
    std::vector<float> narrow_, narrow_bias_, widen_, widen_bias_;
};

// A step whose target has its first source's size, and whose units are rows.
class RowStep : public MapStep {
   public:
    MapSize size_of(const Maps& maps) const override { return maps[sources[0]].size; }
    int units(const Maps& maps) const override { return maps[target].size.height; }
};

class ScaleStep : public RowStep {
   public:
    void compute(const Maps& maps, int unit) const override;
};

class MixingStep : public RowStep {
   public:
    int units(const Maps& maps) const override;
    void compute(const Maps& maps, int unit) const override;

    PackedLayer first;
    PackedLayer second;
    Activation inner = Activation::kGelu;
    Activation outer = Activation::kNone;
    bool adds_source = false;
};

class LargestStep : public RowStep {
   public:
    explicit LargestStep(int side) : side_(side) {}
    void compute(const Maps& maps, int unit) const override;

   private:
    int side_;
};

class EnlargeStep : public RowStep {
   public:
    explicit EnlargeStep(int factor) : factor_(factor) {}
    MapSize size_of(const Maps& maps) const override {
        const MapSize size = maps[sources[0]].size;
        return {size.height * factor_, size.width * factor_};
    }
    void compute(const Maps& maps, int unit) const override;

   private:
    int factor_;
};

class SumStep : public RowStep {
   public:
    explicit SumStep(int factor) : factor_(factor) {}
    MapSize size_of(const Maps& maps) const override;
    void compute(const Maps& maps, int unit) const override;

   private:
    int factor_;
};

}  // namespace smallsight
