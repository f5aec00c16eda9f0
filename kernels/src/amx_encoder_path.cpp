// AMX tiles for products, AVX-512 around them.
#include <immintrin.h>

#include <cmath>
#include <cstring>

#include "encoder_path.hpp"

namespace smallsight {

namespace {

// The compiler's intrinsics do not tell it which memory a tile instruction reads.
#define TILE_LOAD(tile, from) \
    asm volatile("tileloadd (%0,%1,1), %%tmm" #tile ::"r"(static_cast<const void*>(from)), "r"(64L) : "memory")
// The same for memory that is read once: it should not push what is read again out of the L1 cache.
#define TILE_STREAM(tile, from) \
    asm volatile("tileloaddt1 (%0,%1,1), %%tmm" #tile ::"r"(static_cast<const void*>(from)), "r"(64L) : "memory")
#define TILE_STORE(tile, to) \
    asm volatile("tilestored %%tmm" #tile ", (%0,%1,1)" ::"r"(static_cast<void*>(to)), "r"(64L) : "memory")
#define TILE_ZERO(tile) asm volatile("tilezero %%tmm" #tile ::)
#define TILE_INT8(sum, rows, outputs) asm volatile("tdpbusd %%tmm" #outputs ", %%tmm" #rows ", %%tmm" #sum ::)
#define TILE_BF16(sum, rows, outputs) asm volatile("tdpbf16ps %%tmm" #outputs ", %%tmm" #rows ", %%tmm" #sum ::)

struct alignas(64) TileShapes {
    std::uint8_t palette = 1;
    std::uint8_t start_row = 0;
    std::uint8_t reserved[14] = {};
    std::uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
    std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

void begin() {
    static const TileShapes shapes;
    asm volatile("ldtilecfg (%0)" ::"r"(&shapes) : "memory");
}

void end() { asm volatile("tilerelease" ::); }

#include "encoder_vectors_body.hpp"

constexpr unsigned kTileValues = 256;

// Sums of a product of 32 rows and 32 outputs: two tiles of the upper rows, then two of the lower ones.
union Sums {
    alignas(64) std::int32_t whole[4 * kTileValues];
    float real[4 * kTileValues];
};

// Where a row's first 16 sums are; the others are a tile further.
inline unsigned sums_of(unsigned row) { return row / 16 * 2 * kTileValues + row % 16 * 16; }

// Multiplies panels of 32 rows and 32 outputs; `between(tile)` is called after each tile, to be computed meanwhile.
template <Number kNumber, typename Between>
inline void multiply_tiles(const std::uint8_t* rows, const std::uint8_t* outputs, int tiles, void* sums,
                           Between&& between) {
    TILE_ZERO(0);
    TILE_ZERO(1);
    TILE_ZERO(2);
    TILE_ZERO(3);
    for (int tile = 0; tile < tiles; ++tile, rows += 2 * kTileBytes, outputs += 2 * kTileBytes) {
        TILE_LOAD(4, rows);
        TILE_STREAM(6, outputs);
        TILE_LOAD(5, rows + kTileBytes);
        TILE_STREAM(7, outputs + kTileBytes);
        if (kNumber == Number::kInt8) {
            TILE_INT8(0, 4, 6);
            TILE_INT8(1, 4, 7);
            TILE_INT8(2, 5, 6);
            TILE_INT8(3, 5, 7);
        } else {
            TILE_BF16(0, 4, 6);
            TILE_BF16(1, 4, 7);
            TILE_BF16(2, 5, 6);
            TILE_BF16(3, 5, 7);
        }
        between(tile);
    }
    auto* to = static_cast<std::uint8_t*>(sums);
    TILE_STORE(0, to);
    TILE_STORE(1, to + kTileBytes);
    TILE_STORE(2, to + 2 * kTileBytes);
    TILE_STORE(3, to + 3 * kTileBytes);
}


// Turns the sums of a panel into numbers, some rows at a time.
template <Number kNumber, bool kAdds>
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
            _mm512_storeu_ps(to, first);
            _mm512_storeu_ps(to + 16, second);
        }
    }
};

// While the tile unit computes a panel, the vector units finish the one before.
template <Number kNumber, bool kAdds>
void multiply_as(const PanelProduct& product) {
    const PanelMatrix& matrix = *product.matrix;
    const int tiles = matrix.segments.steps * tiles_of_step(kNumber), together = (kPanel + tiles - 1) / tiles;
    Sums sums[2];
    const auto tiles_of = [&](int panel, auto&& between) {
        multiply_tiles<kNumber>(product.rows.tiles, matrix.panel(product.segment, panel), tiles, &sums[panel % 2],
                                between);
    };
    tiles_of(product.begin, [](int) {});
    for (int panel = product.begin + 1; panel < product.end; ++panel) {
        const PanelRows<kNumber, kAdds> before(product, panel - 1, sums[(panel - 1) % 2]);
        const std::uint8_t* ahead = product.ahead + static_cast<std::size_t>(panel - product.begin) * tiles * kAheadBytes;
        tiles_of(panel, [&](int tile) {
            const int begin = tile * together, end = begin + together;
            before.finish(begin < kPanel ? begin : kPanel, end < kPanel ? end : kPanel);
            if (product.ahead != nullptr)
                for (int at = 0; at < kAheadBytes; at += 64) _mm_prefetch(ahead + tile * kAheadBytes + at, _MM_HINT_T1);
        });
    }
    PanelRows<kNumber, kAdds>(product, product.end - 1, sums[(product.end - 1) % 2]).finish(0, kPanel);
}

void multiply(const PanelProduct& product) {
    if (product.matrix->number == Number::kInt8) {
        product.adds ? multiply_as<Number::kInt8, true>(product) : multiply_as<Number::kInt8, false>(product);
    } else {
        product.adds ? multiply_as<Number::kBf16, true>(product) : multiply_as<Number::kBf16, false>(product);
    }
}

// The scores of 32 queries and a panel of keys: tiles of the upper queries, then of the lower ones.
template <typename Between>
inline void score(const HeadAttention& head, int panel, Sums* sums, Between&& between) {
    const int steps = head.dims / 32;
    const std::size_t panel_bytes = static_cast<std::size_t>(steps) * 2 * kTileBytes;
    multiply_tiles<Number::kBf16>(head.queries, head.keys + panel * panel_bytes, steps, sums, between);
    for (int key = head.keys_count - panel * kPanel; key < kPanel; ++key)
        for (int row = 0; row < kPanel; ++row) sums->real[sums_of(row) + key / 16 * kTileValues + key % 16] = kNever;
}

// Calls `take(sums, panel, begin, end)` for the rows of each panel's scores while the next panel is computed.
template <typename Take>
inline void for_scores(const HeadAttention& head, Take&& take) {
    const int together = (kPanel + head.dims / 32 - 1) / (head.dims / 32);
    Sums sums[2];
    score(head, 0, &sums[0], [](int) {});
    for (int panel = 1; panel < head.key_panels(); ++panel)
        score(head, panel, &sums[panel % 2], [&](int tile) {
            const int begin = tile * together, end = begin + together;
            take(sums[(panel - 1) % 2], panel - 1, begin, end < kPanel ? end : kPanel);
        });
    take(sums[(head.key_panels() - 1) % 2], head.key_panels() - 1, 0, kPanel);
}

// Finds each query's largest score.
void find_largest(const HeadAttention& head, float* largest) {
    alignas(64) float most[kPanel][16];
    for (auto& one : most) _mm512_store_ps(one, _mm512_set1_ps(kNever));
    for_scores(head, [&](const Sums& sums, int, int begin, int end) {
        for (int row = begin; row < end; ++row) {
            const float* found = sums.real + sums_of(row);
            const __m512 pair = _mm512_max_ps(_mm512_load_ps(found), _mm512_load_ps(found + kTileValues));
            _mm512_store_ps(most[row], _mm512_max_ps(_mm512_load_ps(most[row]), pair));
        }
    });
    for (int row = 0; row < kPanel; ++row) largest[row] = _mm512_reduce_max_ps(_mm512_load_ps(most[row]));
}

// Turns scores into powers of two relative to `largest`, or as they are without it; finds each query's sum.
template <bool kIsRelative>
void share(const HeadAttention& head, const float* largest, float* sums_of_rows) {
    alignas(64) float totals[kPanel][16] = {};
    const __m512 least = _mm512_set1_ps(-126.0f), most = _mm512_set1_ps(kLargestPower);
    for_scores(head, [&](const Sums& sums, int panel, int begin, int end) {
        std::uint8_t* to = head.shares + static_cast<std::size_t>(panel) * 2 * kTileBytes;
        for (int row = begin; row < end; ++row) {
            const float* found = sums.real + sums_of(row);
            __m512 low = _mm512_load_ps(found), high = _mm512_load_ps(found + kTileValues);
            if (kIsRelative) {
                low = _mm512_sub_ps(low, _mm512_set1_ps(largest[row]));
                high = _mm512_sub_ps(high, _mm512_set1_ps(largest[row]));
            } else {
                low = _mm512_min_ps(low, most);
                high = _mm512_min_ps(high, most);
            }
            low = power_of_two<3>(_mm512_max_ps(low, least));
            high = power_of_two<3>(_mm512_max_ps(high, least));
            _mm512_store_ps(totals[row], _mm512_add_ps(_mm512_load_ps(totals[row]), _mm512_add_ps(low, high)));
            _mm512_store_si512(to + row_in_tiles(row), bf16_pair(low, high));
        }
    });
    for (int row = 0; row < kPanel; ++row) sums_of_rows[row] = _mm512_reduce_add_ps(_mm512_load_ps(totals[row]));
}

// Floating point has room for scores as they are: only where a query's largest is beyond it, is it found first.
void share_all(const HeadAttention& head, float* sums_of_rows) {
    share<false>(head, nullptr, sums_of_rows);
    bool fits = true;
    for (int row = 0; row < kPanel; ++row) fits = fits && kLeastSum < sums_of_rows[row] && sums_of_rows[row] < kMostSum;
    if (fits) return;
    float largest[kPanel];
    find_largest(head, largest);
    share<true>(head, largest, sums_of_rows);
}

void attend(const HeadAttention& head) {
    const int panels = head.key_panels();
    float sums_of_rows[kPanel], inverses[kPanel];
    share_all(head, sums_of_rows);
    for (int row = 0; row < kPanel; ++row) inverses[row] = 1.0f / sums_of_rows[row];
    const std::size_t dim_panel_bytes = static_cast<std::size_t>(panels) * 2 * kTileBytes;
    Sums sums;
    for (int at = 0; at < head.dims; at += 32) {
        multiply_tiles<Number::kBf16>(head.shares, head.values + at / 32 * dim_panel_bytes, panels, &sums, [](int) {});
        for (int row = 0; row < kPanel; ++row)
            for (int half = 0; half < 2; ++half) {
                const __m512 value = _mm512_load_ps(sums.real + sums_of(row) + half * kTileValues);
                _mm512_storeu_ps(head.out + row * head.stride + at + half * 16,
                                 _mm512_mul_ps(value, _mm512_set1_ps(inverses[row])));
            }
    }
}

}  // namespace

const EncoderPath* amx_encoder_path() {
    static const EncoderPath path = {"amx", kPanel, false, false, false, 2, begin, end, multiply, norm, gelu,
                                     pack, store_queries, store_keys, store_values, attend};
    return &path;
}

}  // namespace smallsight
