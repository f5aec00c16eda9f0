// Products over maps of bfloat16: AMX tiles, and AVX-512 around them.
#include <immintrin.h>

#include <algorithm>
#include <cstring>

#include "amx_instructions.hpp"
#include "amx_support.hpp"
#include "map_path.hpp"

namespace smallsight {

namespace {

constexpr int kTileValues = 512;  // of weights
constexpr int kMostInner = 1024;  // values of a pixel between two layers
constexpr int kScratchPad = 32;   // values after a pixel, so that pixels do not share the sets of a cache

// A thread's memory between the two layers of `mix_pixels`.
struct alignas(64) Scratch {
    alignas(64) std::uint16_t inner[kMixedPixels * (kMostInner + kScratchPad)] = {};
    alignas(64) std::uint16_t inputs[kMixedPixels * (kMostInner / 2 + kScratchPad)] = {};
};

Scratch& scratch() {
    static thread_local Scratch own;
    return own;
}

#include "map_vectors.hpp"

// x / 2 * (1 + erf(x / sqrt(2))), the error function as a polynomial; at most 2e-4 off.
inline __m512 gelu_of(__m512 x) {
    const __m512 above = _mm512_max_ps(x, _mm512_set1_ps(-4.0f)), near = _mm512_min_ps(above, _mm512_set1_ps(4.0f));
    const __m512 square = _mm512_mul_ps(near, near);
    __m512 sum = _mm512_set1_ps(2.27789041e-08f);
    sum = _mm512_fmadd_ps(sum, square, _mm512_set1_ps(-1.59846354e-06f));
    sum = _mm512_fmadd_ps(sum, square, _mm512_set1_ps(4.79525515e-05f));
    sum = _mm512_fmadd_ps(sum, square, _mm512_set1_ps(-8.13984312e-04f));
    sum = _mm512_fmadd_ps(sum, square, _mm512_set1_ps(8.77222326e-03f));
    sum = _mm512_fmadd_ps(sum, square, _mm512_set1_ps(-6.45727068e-02f));
    sum = _mm512_fmadd_ps(sum, square, _mm512_set1_ps(3.97883028e-01f));
    return _mm512_mul_ps(above, _mm512_fmadd_ps(near, sum, _mm512_set1_ps(0.5f)));
}

// 255 / (1 + e**-x), a whole number.
inline __m512i level_of(__m512 x) {
    const __m512 power = _mm512_min_ps(_mm512_mul_ps(x, _mm512_set1_ps(-1.44269504f)), _mm512_set1_ps(126.0f));
    const __m512 rest = _mm512_reduce_ps(power, _MM_FROUND_TO_NEG_INF);
    __m512 sum = _mm512_fmadd_ps(_mm512_set1_ps(1.353417e-2f), rest, _mm512_set1_ps(5.201146e-2f));
    sum = _mm512_fmadd_ps(sum, rest, _mm512_set1_ps(2.4144276e-1f));
    sum = _mm512_fmadd_ps(sum, rest, _mm512_set1_ps(6.9300383e-1f));
    sum = _mm512_fmadd_ps(sum, rest, _mm512_set1_ps(1.0000026f));
    const __m512 divisor = _mm512_add_ps(_mm512_set1_ps(1.0f), _mm512_scalef_ps(sum, power));
    return _mm512_cvttps_epi32(_mm512_div_ps(_mm512_set1_ps(255.0f), divisor));
}

template <Activation kActivation>
inline __m512 activated(__m512 values) {
    if (kActivation == Activation::kRelu) return _mm512_max_ps(values, _mm512_setzero_ps());
    return kActivation == Activation::kGelu ? gelu_of(values) : values;
}

// Sums of 32 pixels and 32 outputs, pixel by pixel.
struct alignas(64) Sums {
    float values[kPanelPixels * kPairOutputs];
};

// Multiplies a panel of pixels with a pair of outputs; `between(step)` is called after each step, to be computed
// meanwhile. Only the first half of the pixels, or of the outputs, is computed where that is enough.
template <bool kHalfPixels, bool kHalfOutputs, typename Between>
inline void multiply_tiles(const std::uint16_t* const* from, long stride, const std::uint16_t* weights, int steps,
                           float* sums, Between&& between) {
    AMX_ZERO(0);
    if (!kHalfOutputs) AMX_ZERO(1);
    if (!kHalfPixels) AMX_ZERO(2);
    if (!kHalfPixels && !kHalfOutputs) AMX_ZERO(3);
    for (int step = 0; step < steps; ++step, weights += 2 * kTileValues) {
        AMX_LOAD(4, from[step], stride);
        AMX_LOAD(6, weights, 64L);
        if (!kHalfPixels) AMX_LOAD(5, from[step] + 8 * stride, stride);
        if (!kHalfOutputs) AMX_LOAD(7, weights + kTileValues, 64L);
        AMX_BF16(0, 4, 6);
        if (!kHalfOutputs) AMX_BF16(1, 4, 7);
        if (!kHalfPixels) AMX_BF16(2, 5, 6);
        if (!kHalfPixels && !kHalfOutputs) AMX_BF16(3, 5, 7);
        between(step);
    }
    AMX_STORE(0, sums, 128L);
    if (!kHalfOutputs) AMX_STORE(1, sums + 16, 128L);
    if (!kHalfPixels) AMX_STORE(2, sums + 16 * kPairOutputs, 128L);
    if (!kHalfPixels && !kHalfOutputs) AMX_STORE(3, sums + 16 * kPairOutputs + 16, 128L);
}

template <typename Between>
inline void multiply_panel(const std::uint16_t* const* from, long stride, const std::uint16_t* weights, int steps,
                           bool has_few_pixels, bool has_few_outputs, float* sums, Between&& between) {
    if (has_few_pixels) {
        has_few_outputs ? multiply_tiles<true, true>(from, stride, weights, steps, sums, between)
                        : multiply_tiles<true, false>(from, stride, weights, steps, sums, between);
    } else {
        has_few_outputs ? multiply_tiles<false, true>(from, stride, weights, steps, sums, between)
                        : multiply_tiles<false, false>(from, stride, weights, steps, sums, between);
    }
}

// Turns sums of a pair of outputs into values; `place(pixel)` is where they go, `source(pixel)` what is added.
template <Activation kActivation, bool kAdds, typename Place, typename Source>
struct PairOfOutputs {
    const float* sums;
    const float* bias;
    int pixels;
    bool is_single;  // only the first 16 outputs
    Place place;
    Source source;

    void finish(int begin, int end) const {
        const __m512 first_bias = _mm512_loadu_ps(bias), second_bias = _mm512_loadu_ps(bias + 16);
        const float* from = sums + begin * kPairOutputs;
        for (int pixel = begin; pixel < std::min(end, pixels); ++pixel, from += kPairOutputs) {
            std::uint16_t* to = place(pixel);
            __m512 first = _mm512_add_ps(_mm512_load_ps(from), first_bias);
            if (kActivation == Activation::kLevels) {
                _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm512_cvtepi32_epi16(level_of(first)));
                continue;
            }
            if (kAdds) first = _mm512_add_ps(first, widened(source(pixel)));
            if (is_single) {
                _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), narrowed(activated<kActivation>(first)));
                continue;
            }
            __m512 second = _mm512_add_ps(_mm512_load_ps(from + 16), second_bias);
            if (kAdds) second = _mm512_add_ps(second, widened(source(pixel) + 16));
            _mm512_storeu_si512(to, both_rounded_to_bf16(activated<kActivation>(second), activated<kActivation>(first)));
        }
    }
};

template <Activation kActivation, bool kAdds, typename Place, typename Source>
PairOfOutputs<kActivation, kAdds, Place, Source> pair_of(const float* sums, const float* bias, int pixels,
                                                         bool is_single, Place place, Source source) {
    return {sums, bias, pixels, is_single, place, source};
}

struct NoSource {
    const std::uint16_t* operator()(int) const { return nullptr; }
};

// Computes products one after another: while tiles multiply for one, vectors finish the one before. `product(number)`
// says where its inputs are, `outputs(number, sums)` what becomes of its sums.
template <typename Product, typename Outputs>
void multiply_all(int count, const PackedLayer& layer, Product&& product, Outputs&& outputs) {
    Sums sums[2];
    const int together = (kPanelPixels + layer.steps - 1) / layer.steps;
    for (int number = 0; number < count; ++number) {
        const auto [from, stride, pair, few_pixels, few_outputs] = product(number);
        float* own = sums[number % 2].values;
        if (number == 0) {
            multiply_panel(from, stride, layer.pair(pair), layer.steps, few_pixels, few_outputs, own, [](int) {});
            continue;
        }
        const auto before = outputs(number - 1, sums[(number - 1) % 2].values);
        multiply_panel(from, stride, layer.pair(pair), layer.steps, few_pixels, few_outputs, own,
                       [&](int step) { before.finish(step * together, (step + 1) * together); });
    }
    outputs(count - 1, sums[(count - 1) % 2].values).finish(0, kPanelPixels);
}

struct PanelInputs {
    const std::uint16_t* const* from;
    long stride;
    int pair;
    bool has_few_pixels;
    bool has_few_outputs;
};

template <Activation kActivation>
void multiply_as(const PixelProduct& product) {
    const PackedLayer& layer = *product.layer;
    const auto is_single = [&](int pair) { return product.outputs - pair * kPairOutputs < kPairOutputs; };
    multiply_all(
        (product.outputs + kPairOutputs - 1) / kPairOutputs, layer,
        [&](int pair) {
            return PanelInputs{product.from, static_cast<long>(product.from_stride * 2), pair, product.pixels <= 16,
                               is_single(pair)};
        },
        [&](int pair, const float* sums) {
            std::uint16_t* to = product.to + pair * kPairOutputs;
            const std::size_t stride = product.to_stride;
            return pair_of<kActivation, false>(sums, layer.bias.data() + pair * kPairOutputs, product.pixels,
                                               is_single(pair), [=](int pixel) { return to + pixel * stride; },
                                               NoSource());
        });
}

// Pixels in a scratch, and where a product finds each step's inputs of each panel.
struct ScratchPixels {
    std::uint16_t* values;
    int stride;
    int steps;
    const std::uint16_t* places[kMixedPixels / kPanelPixels * kMostInner / kStepValues];

    ScratchPixels(std::uint16_t* values, int steps)
        : values(values), stride(steps * kStepValues + kScratchPad), steps(steps) {
        for (int panel = 0; panel < kMixedPixels / kPanelPixels; ++panel)
            for (int step = 0; step < steps; ++step)
                places[panel * steps + step] = values + panel * kPanelPixels * stride + step * kStepValues;
    }

    std::uint16_t* at(int pixel) const { return values + pixel * stride; }
};

// One of two layers over some pixels: all panels of pixels for each pair of outputs, whose weights stay in the cache.
template <Activation kActivation, bool kAdds, typename Place, typename Source>
void mix(const PackedLayer& layer, const ScratchPixels& from, int pixels, int outputs, Place&& place, Source&& source) {
    const int panels = (pixels + kPanelPixels - 1) / kPanelPixels;
    const auto is_single = [&](int pair) { return outputs - pair * kPairOutputs < kPairOutputs; };
    multiply_all(
        layer.pairs * panels, layer,
        [&](int number) {
            const int panel = number % panels, pair = number / panels;
            return PanelInputs{from.places + panel * layer.steps, from.stride * 2L, pair,
                               pixels - panel * kPanelPixels <= 16, is_single(pair)};
        },
        [&](int number, const float* sums) {
            const int begin = number % panels * kPanelPixels, pair = number / panels, at = pair * kPairOutputs;
            return pair_of<kActivation, kAdds>(
                sums, layer.bias.data() + at, std::min(kPanelPixels, pixels - begin), is_single(pair),
                [begin, at, &place](int pixel) { return place(begin + pixel) + at; },
                [begin, at, &source](int pixel) { return source(begin + pixel) + at; });
        });
}

template <Activation kInner>
void mix_first(const MixedPixels& pixels, const ScratchPixels& inputs, const ScratchPixels& inner) {
    mix<kInner, false>(*pixels.first, inputs, pixels.pixels, pixels.first->pairs * kPairOutputs,
                       [&](int pixel) { return inner.at(pixel); }, NoSource());
}

template <Activation kOuter, bool kAdds>
void mix_second(const MixedPixels& pixels, const ScratchPixels& inputs, const ScratchPixels& inner) {
    mix<kOuter, kAdds>(*pixels.second, inner, pixels.pixels, pixels.outputs,
                       [&](int pixel) { return pixels.to[pixel]; }, [&](int pixel) { return inputs.at(pixel); });
}

}  // namespace

void begin_maps() { begin_tiles(); }

void end_maps() { end_tiles(); }

void multiply_pixels(const PixelProduct& product, Activation activation) {
    switch (activation) {
        case Activation::kNone: return multiply_as<Activation::kNone>(product);
        case Activation::kRelu: return multiply_as<Activation::kRelu>(product);
        case Activation::kGelu: return multiply_as<Activation::kGelu>(product);
        case Activation::kLevels: return multiply_as<Activation::kLevels>(product);
    }
}

void mix_pixels(const MixedPixels& pixels, Activation inner, Activation outer) {
    Scratch& own = scratch();
    const ScratchPixels inputs(own.inputs, pixels.first->steps), between(own.inner, pixels.second->steps);
    for (int pixel = 0; pixel < pixels.pixels; ++pixel)
        std::memcpy(inputs.at(pixel), pixels.from[pixel], static_cast<std::size_t>(pixels.inputs) * 2);
    inner == Activation::kGelu ? mix_first<Activation::kGelu>(pixels, inputs, between)
                               : mix_first<Activation::kRelu>(pixels, inputs, between);
    if (outer == Activation::kLevels) {
        mix_second<Activation::kLevels, false>(pixels, inputs, between);
    } else if (pixels.adds_source) {
        mix_second<Activation::kNone, true>(pixels, inputs, between);
    } else {
        mix_second<Activation::kNone, false>(pixels, inputs, between);
    }
}

}  // namespace smallsight
