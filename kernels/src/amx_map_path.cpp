// Products and sums over maps of bfloat16: AMX tiles for products, AVX-512 around them.
#include <immintrin.h>

#include <algorithm>
#include <cstring>

#include "map_path.hpp"

namespace smallsight {

namespace {

// The compiler's intrinsics do not tell it which memory a tile instruction reads.
#define TILE_LOAD(tile, from, stride) \
    asm volatile("tileloadd (%0,%1,1), %%tmm" #tile ::"r"(static_cast<const void*>(from)), "r"(stride) : "memory")
#define TILE_STORE(tile, to) \
    asm volatile("tilestored %%tmm" #tile ", (%0,%1,1)" ::"r"(static_cast<void*>(to)), "r"(128L) : "memory")
#define TILE_ZERO(tile) asm volatile("tilezero %%tmm" #tile ::)
#define TILE_BF16(sum, rows, outputs) asm volatile("tdpbf16ps %%tmm" #outputs ", %%tmm" #rows ", %%tmm" #sum ::)

constexpr int kTileValues = 512;  // of weights
constexpr int kMostInner = 1024;  // values of a pixel between two layers
constexpr int kScratchPad = 32;   // values after a pixel, so that pixels do not share the sets of a cache

struct alignas(64) TileShapes {
    std::uint8_t palette = 1;
    std::uint8_t start_row = 0;
    std::uint8_t reserved[14] = {};
    std::uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
    std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

// A thread's memory between the two layers of `mix_pixels`.
struct alignas(64) Scratch {
    alignas(64) std::uint16_t inner[kMixedPixels * (kMostInner + kScratchPad)] = {};
    alignas(64) std::uint16_t inputs[kMixedPixels * (kMostInner / 2 + kScratchPad)] = {};
};

Scratch& scratch() {
    static thread_local Scratch own;
    return own;
}

inline __m512 low_half(__m512i pair) { return _mm512_castsi512_ps(_mm512_slli_epi32(pair, 16)); }
inline __m512 high_half(__m512i pair) {
    return _mm512_castsi512_ps(_mm512_and_si512(pair, _mm512_set1_epi32(static_cast<int>(0xffff0000u))));
}

inline __m512 widened(const std::uint16_t* from) {
    const __m256i values = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(values), 16));
}

inline __m256i narrowed(__m512 values) { return reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(values)); }

// Packs the even values and the odd ones, which lie between them.
inline __m512i woven(__m512 even, __m512 odd) {
    const __m512i half = _mm512_set1_epi32(0x8000);
    const __m512i low = _mm512_srli_epi32(_mm512_add_epi32(_mm512_castps_si512(even), half), 16);
    const __m512i high = _mm512_add_epi32(_mm512_castps_si512(odd), half);
    return _mm512_mask_blend_epi16(0xaaaaaaaau, low, high);
}

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

using Sums = float[kPanelPixels * kPairOutputs];

inline void multiply_tiles(const std::uint16_t* const* from, long stride, const std::uint16_t* weights, int steps,
                           bool is_half, float* sums) {
    TILE_ZERO(0);
    TILE_ZERO(1);
    if (is_half) {
        for (int step = 0; step < steps; ++step, weights += 2 * kTileValues) {
            TILE_LOAD(4, from[step], stride);
            TILE_LOAD(6, weights, 64L);
            TILE_LOAD(7, weights + kTileValues, 64L);
            TILE_BF16(0, 4, 6);
            TILE_BF16(1, 4, 7);
        }
    } else {
        TILE_ZERO(2);
        TILE_ZERO(3);
        for (int step = 0; step < steps; ++step, weights += 2 * kTileValues) {
            TILE_LOAD(4, from[step], stride);
            TILE_LOAD(6, weights, 64L);
            TILE_LOAD(5, from[step] + 8 * stride, stride);
            TILE_LOAD(7, weights + kTileValues, 64L);
            TILE_BF16(0, 4, 6);
            TILE_BF16(1, 4, 7);
            TILE_BF16(2, 5, 6);
            TILE_BF16(3, 5, 7);
        }
        TILE_STORE(2, sums + 16 * kPairOutputs);
        TILE_STORE(3, sums + 16 * kPairOutputs + 16);
    }
    TILE_STORE(0, sums);
    TILE_STORE(1, sums + 16);
}

// Writes a pair's outputs of some pixels; `place(pixel)` is where they go, `source(pixel)` what is added or null.
template <Activation kActivation, bool kAdds, typename Place, typename Source>
inline void finish(const float* sums, const float* bias, int pixels, bool is_single, Place&& place, Source&& source) {
    const __m512 first_bias = _mm512_loadu_ps(bias), second_bias = _mm512_loadu_ps(bias + 16);
    for (int pixel = 0; pixel < pixels; ++pixel, sums += kPairOutputs) {
        std::uint16_t* to = place(pixel);
        __m512 first = _mm512_add_ps(_mm512_load_ps(sums), first_bias);
        if (kActivation == Activation::kLevels) {
            _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm512_cvtepi32_epi16(level_of(first)));
            continue;
        }
        __m512 second = _mm512_add_ps(_mm512_load_ps(sums + 16), second_bias);
        if (kAdds) first = _mm512_add_ps(first, widened(source(pixel)));
        if (is_single) {
            _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), narrowed(activated<kActivation>(first)));
            continue;
        }
        if (kAdds) second = _mm512_add_ps(second, widened(source(pixel) + 16));
        const __m512bh both = _mm512_cvtne2ps_pbh(activated<kActivation>(second), activated<kActivation>(first));
        _mm512_storeu_si512(to, reinterpret_cast<__m512i>(both));
    }
}

template <Activation kActivation>
void multiply_as(const PixelProduct& product) {
    alignas(64) Sums sums;
    const PackedLayer& layer = *product.layer;
    for (int pair = 0; pair * kPairOutputs < product.outputs; ++pair) {
        multiply_tiles(product.from, static_cast<long>(product.from_stride * 2), layer.pair(pair), layer.steps,
                       product.pixels <= 16, sums);
        finish<kActivation, false>(
            sums, layer.bias.data() + pair * kPairOutputs, product.pixels,
            product.outputs - pair * kPairOutputs < kPairOutputs,
            [&](int pixel) { return product.to + pixel * product.to_stride + pair * kPairOutputs; },
            [](int) -> const std::uint16_t* { return nullptr; });
    }
}

// Rows of a scratch, as a product reads them.
struct ScratchRows {
    std::uint16_t* values;
    int stride;

    void steps_of(int first_pixel, int steps, const std::uint16_t** from) const {
        for (int step = 0; step < steps; ++step) from[step] = values + first_pixel * stride + step * kStepValues;
    }
};

template <Activation kInner>
void mix_first(const MixedPixels& pixels, const ScratchRows& inputs, const ScratchRows& inner) {
    alignas(64) Sums sums;
    const std::uint16_t* from[kMostInner / kStepValues];
    const PackedLayer& layer = *pixels.first;
    for (int pair = 0; pair < layer.pairs; ++pair) {
        for (int begin = 0; begin < pixels.pixels; begin += kPanelPixels) {
            const int count = std::min(kPanelPixels, pixels.pixels - begin);
            inputs.steps_of(begin, layer.steps, from);
            multiply_tiles(from, inputs.stride * 2L, layer.pair(pair), layer.steps, count <= 16, sums);
            finish<kInner, false>(
                sums, layer.bias.data() + pair * kPairOutputs, count, false,
                [&](int pixel) { return inner.values + (begin + pixel) * inner.stride + pair * kPairOutputs; },
                [](int) -> const std::uint16_t* { return nullptr; });
        }
    }
}

template <Activation kOuter, bool kAdds>
void mix_second(const MixedPixels& pixels, const ScratchRows& inputs, const ScratchRows& inner) {
    alignas(64) Sums sums;
    const std::uint16_t* from[kMostInner / kStepValues];
    const PackedLayer& layer = *pixels.second;
    for (int pair = 0; pair < layer.pairs; ++pair) {
        const int at = pair * kPairOutputs;
        for (int begin = 0; begin < pixels.pixels; begin += kPanelPixels) {
            const int count = std::min(kPanelPixels, pixels.pixels - begin);
            inner.steps_of(begin, layer.steps, from);
            multiply_tiles(from, inner.stride * 2L, layer.pair(pair), layer.steps, count <= 16, sums);
            finish<kOuter, kAdds>(
                sums, layer.bias.data() + at, count, pixels.outputs - at < kPairOutputs,
                [&](int pixel) { return pixels.to[begin + pixel] + at; },
                [&](int pixel) { return inputs.values + (begin + pixel) * inputs.stride + at; });
        }
    }
}

// Filters `kBlock` neighbouring pixels of 32 channels; the even ones' sums come first.
template <int kColumns, int kStride, int kBlock>
inline void filter_block(const DepthwiseRow& row, int channel, int pixel) {
    const std::uint16_t* from = row.from + static_cast<std::size_t>(pixel) * kStride * row.from_stride + channel;
    const float* weights = row.weights + channel;
    __m512 even[kBlock], odd[kBlock];
    for (int one = 0; one < kBlock; ++one) {
        even[one] = _mm512_loadu_ps(row.bias + channel);
        odd[one] = _mm512_loadu_ps(row.bias + channel + 16);
    }
    for (int y = 0; y < row.rows; ++y, from += row.row, weights += static_cast<std::size_t>(kColumns) * row.weight_stride) {
        for (int x = 0; x < kColumns; ++x) {
            const __m512 even_weight = _mm512_loadu_ps(weights + static_cast<std::size_t>(x) * row.weight_stride);
            const __m512 odd_weight = _mm512_loadu_ps(weights + static_cast<std::size_t>(x) * row.weight_stride + 16);
            for (int one = 0; one < kBlock; ++one) {
                const __m512i pair = _mm512_loadu_si512(from + (one * kStride + x) * row.from_stride);
                even[one] = _mm512_fmadd_ps(low_half(pair), even_weight, even[one]);
                odd[one] = _mm512_fmadd_ps(high_half(pair), odd_weight, odd[one]);
            }
        }
    }
    for (int one = 0; one < kBlock; ++one) {
        std::uint16_t* to = row.to + static_cast<std::size_t>(pixel + one) * row.to_stride + channel;
        const __m512i values = woven(even[one], odd[one]);
        if (row.channels - channel >= 32) {
            _mm512_storeu_si512(to, values);
        } else {
            _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), _mm512_castsi512_si256(values));
        }
    }
}

template <int kColumns, int kStride>
void filter_columns(const DepthwiseRow& row) {
    constexpr int kBlock = 8;
    for (int channel = 0; channel < row.channels; channel += 32) {
        int pixel = 0;
        for (; pixel + kBlock <= row.pixels; pixel += kBlock) filter_block<kColumns, kStride, kBlock>(row, channel, pixel);
        for (; pixel < row.pixels; ++pixel) filter_block<kColumns, kStride, 1>(row, channel, pixel);
    }
}

}  // namespace

void begin_maps() {
    static const TileShapes shapes;
    asm volatile("ldtilecfg (%0)" ::"r"(&shapes) : "memory");
}

void end_maps() { asm volatile("tilerelease" ::); }

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
    const ScratchRows inputs = {own.inputs, pixels.first->steps * kStepValues + kScratchPad};
    const ScratchRows between = {own.inner, pixels.second->steps * kStepValues + kScratchPad};
    for (int pixel = 0; pixel < pixels.pixels; ++pixel)
        std::memcpy(inputs.values + pixel * inputs.stride, pixels.from[pixel], pixels.inputs * 2);
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

void filter_row(const DepthwiseRow& row) {
    if (row.columns == 3 && row.stride_x == 1) return filter_columns<3, 1>(row);
    if (row.columns == 3 && row.stride_x == 2) return filter_columns<3, 2>(row);
    if (row.columns == 7 && row.stride_x == 1) return filter_columns<7, 1>(row);
}

void pixels_from_bytes(const std::uint8_t* rgb, std::uint16_t* to, int pixels) {
    for (int pixel = 0; pixel < pixels; ++pixel, rgb += 3, to += 4) {
        alignas(16) float values[16] = {(rgb[0] - 127.5f) / 127.5f, (rgb[1] - 127.5f) / 127.5f,
                                        (rgb[2] - 127.5f) / 127.5f};
        alignas(32) std::uint16_t rounded[16];
        _mm256_store_si256(reinterpret_cast<__m256i*>(rounded), narrowed(_mm512_loadu_ps(values)));
        std::memcpy(to, rounded, 8);
    }
}

void add_to_sums(const std::uint16_t* values, float* sums, int count) {
    for (int at = 0; at < count; at += 16)
        _mm512_storeu_ps(sums + at, _mm512_add_ps(_mm512_loadu_ps(sums + at), widened(values + at)));
}

void scale_values(const std::uint16_t* values, const float* scales, std::uint16_t* to, int count) {
    for (int at = 0; at < count; at += 16)
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + at),
                            narrowed(_mm512_mul_ps(widened(values + at), _mm512_loadu_ps(scales + at))));
}

void largest_of(const std::uint16_t* one, const std::uint16_t* other, std::uint16_t* to, int count) {
    for (int at = 0; at < count; at += 16) {
        const __m256i first = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(one + at));
        const __m256i second = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(other + at));
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + at), _mm256_max_epu16(first, second));
    }
}

void sum_of(const std::uint16_t* one, const std::uint16_t* other, std::uint16_t* to, int count) {
    for (int at = 0; at < count; at += 16)
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(to + at),
                            narrowed(_mm512_add_ps(widened(one + at), widened(other + at))));
}

void as_floats(const std::uint16_t* values, float* to, int count) {
    for (int at = 0; at < count; at += 16) _mm512_storeu_ps(to + at, widened(values + at));
}

}  // namespace smallsight
