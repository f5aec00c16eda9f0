// AMX tiles for products, AVX-512 around them.
#include <immintrin.h>

#include <cmath>
#include <cstring>

#include "amx_instructions.hpp"
#include "amx_support.hpp"
#include "encoder_path.hpp"

namespace smallsight {

namespace {

#include "encoder_vectors_body.hpp"
#include "amx_tiles_body.hpp"
#include "amx_attention_body.hpp"

// x / 2 * (1 + tanh(u)) as in `tanh_gelu_of`, as x * (1 / 2 + y * P(y * y)) with y = x from -3.8 to 3.8; at most 1.3e-4 away.
inline __m512 near_tanh_gelu_of(__m512 x) {
    constexpr float kTerms[] = {3.2273083e-8f, -2.0635068e-6f, 5.6808529e-5f, -8.9588552e-4f,
                                9.1419587e-3f, -6.5258287e-2f, 3.9815446e-1f};
    constexpr int kNearestToZero = 2;  // with the sign of the first
    const __m512 near = _mm512_range_ps(x, _mm512_set1_ps(3.8f), kNearestToZero), square = _mm512_mul_ps(near, near);
    __m512 sum = _mm512_set1_ps(kTerms[0]);
    for (int term = 1; term < 7; ++term) sum = _mm512_fmadd_ps(sum, square, _mm512_set1_ps(kTerms[term]));
    return _mm512_mul_ps(x, _mm512_fmadd_ps(near, sum, _mm512_set1_ps(0.5f)));
}

template <Activation kActivation>
inline __m512 activated(__m512 x) {
    switch (kActivation) {
        case Activation::kTanhGelu: return near_tanh_gelu_of(x);
        case Activation::kQuickGelu: return quick_gelu_of(x);
        case Activation::kErfGelu: return erf_gelu_of(x);
        case Activation::kNone: return x;
    }
    return x;
}

// Turns the sums of a panel into numbers, some rows at a time.
template <Number kNumber, bool kAdds, Activation kActivation>
struct PanelRows {
    const Columns<kNumber> low, high;
    const RowPanel rows;
    const Sums& sums;
    float* const out;
    const std::size_t stride;

    PanelRows(const PanelProduct& product, int panel, const Sums& sums)
        : low(product, panel * kPanel),
          high(product, panel * kPanel + 16),
          rows(product.rows),
          sums(sums),
          out(product.out + static_cast<std::size_t>(panel - product.begin) * kPanel),
          stride(product.stride) {}

    void finish(int begin, int end) const {
        for (int row = begin; row < end; ++row) {
            const std::int32_t* found = sums.whole + sums_of(row);
            float* to = out + row * stride;
            __m512 first = low.values(_mm512_load_si512(found), rows, row);
            __m512 second = high.values(_mm512_load_si512(found + kTileValues), rows, row);
            if (kAdds) {
                first = _mm512_add_ps(first, _mm512_loadu_ps(to));
                second = _mm512_add_ps(second, _mm512_loadu_ps(to + 16));
            }
            _mm512_storeu_ps(to, activated<kActivation>(first));
            _mm512_storeu_ps(to + 16, activated<kActivation>(second));
        }
    }
};

// While the tile unit computes a panel, the one before leaves the tiles, and the vector units finish it.
template <Number kNumber, bool kAdds, Activation kActivation, bool kIsHalf>
void multiply_as(const PanelProduct& product) {
    constexpr int kRows = kIsHalf ? kPanel / 2 : kPanel;
    const PanelMatrix& matrix = *product.matrix;
    const int tiles = matrix.segments.steps * tiles_of_step(kNumber);
    const int together = tiles > 1 ? (kRows + tiles - 2) / (tiles - 1) : kRows;
    Sums sums[2];
    const auto at = [](const std::uint8_t* tiles, int tile) { return tiles + tile * 2 * kTileBytes; };
    const auto finished = [&](int panel) {
        return PanelRows<kNumber, kAdds, kActivation>(product, panel, sums[panel % 2]);
    };
    for (int panel = product.begin; panel < product.end; ++panel) {
        const std::uint8_t* outputs = matrix.panel(product.segment, panel);
        const std::size_t tiles_before = static_cast<std::size_t>(panel - product.begin) * tiles;
        const auto fetch = [&](int tile) {
            if (product.ahead == nullptr) return;
            const std::uint8_t* ahead = product.ahead + (tiles_before + tile) * product.ahead_bytes;
            for (int byte = 0; byte < product.ahead_bytes; byte += 64) _mm_prefetch(ahead + byte, _MM_HINT_T1);
        };
        begin_sums<kNumber, kIsHalf>(product.rows.tiles, outputs, sums[(panel + 1) % 2], kNothing);
        fetch(0);
        if (panel == product.begin) {
            for (int tile = 1; tile < tiles; ++tile) {
                add_step<kNumber, kIsHalf>(at(product.rows.tiles, tile), at(outputs, tile), kNothing);
                fetch(tile);
            }
            continue;
        }
        const auto before = finished(panel - 1);
        int row = 0;
        for (int tile = 1; tile < tiles; ++tile) {
            add_step<kNumber, kIsHalf>(at(product.rows.tiles, tile), at(outputs, tile), kNothing);
            const int end = row + together < kRows ? row + together : kRows;
            before.finish(row, end);
            row = end;
            fetch(tile);
        }
        if (row < kRows) before.finish(row, kRows);
    }
    store_sums(sums[(product.end - 1) % 2]);
    finished(product.end - 1).finish(0, kRows);
}

template <Number kNumber, bool kAdds, Activation kActivation>
void multiply_rows(const PanelProduct& product) {
    product.row_count > kPanel / 2 ? multiply_as<kNumber, kAdds, kActivation, false>(product)
                                   : multiply_as<kNumber, kAdds, kActivation, true>(product);
}

template <Number kNumber, bool kAdds>
void multiply_with(const PanelProduct& product) {
    switch (product.activation) {
        case Activation::kNone: return multiply_rows<kNumber, kAdds, Activation::kNone>(product);
        case Activation::kTanhGelu: return multiply_rows<kNumber, kAdds, Activation::kTanhGelu>(product);
        case Activation::kQuickGelu: return multiply_rows<kNumber, kAdds, Activation::kQuickGelu>(product);
        case Activation::kErfGelu: return multiply_rows<kNumber, kAdds, Activation::kErfGelu>(product);
    }
}

void multiply(const PanelProduct& product) {
    if (product.matrix->number == Number::kInt8) {
        product.adds ? multiply_with<Number::kInt8, true>(product) : multiply_with<Number::kInt8, false>(product);
    } else {
        product.adds ? multiply_with<Number::kBf16, true>(product) : multiply_with<Number::kBf16, false>(product);
    }
}

}  // namespace

const EncoderPath* amx_encoder_path() {
    static const EncoderPath path = {"amx", kPanel / 2, false, false, false, true, true, 0, begin_tiles, end_tiles, multiply, norm, activate,
                                     pack, store_scaled_queries, store_keys, store_narrowed_values, attend};
    return &path;
}

}  // namespace smallsight
