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


// Returns 2**x, infinity where it is too large; relative error 8e-5 with `kTerms` 3, and 3e-6 with 4.
template <int kTerms>
inline __m512 raised(__m512 x) {
    const __m512 rest = _mm512_reduce_ps(x, _MM_FROUND_TO_NEG_INF);
    __m512 sum;
    if (kTerms == 3) {
        sum = _mm512_fmadd_ps(_mm512_set1_ps(7.802452e-2f), rest, _mm512_set1_ps(2.2606716e-1f));
        sum = _mm512_fmadd_ps(sum, rest, _mm512_set1_ps(6.9583354e-1f));
        sum = _mm512_fmadd_ps(sum, rest, _mm512_set1_ps(9.9992522e-1f));
    } else {
        sum = _mm512_fmadd_ps(_mm512_set1_ps(1.353417e-2f), rest, _mm512_set1_ps(5.201146e-2f));
        sum = _mm512_fmadd_ps(sum, rest, _mm512_set1_ps(2.4144276e-1f));
        sum = _mm512_fmadd_ps(sum, rest, _mm512_set1_ps(6.9300383e-1f));
        sum = _mm512_fmadd_ps(sum, rest, _mm512_set1_ps(1.0000026f));
    }
    return _mm512_scalef_ps(sum, x);
}

// The tanh form, as in `gelu`.
inline __m512 gelu_of(__m512 x) {
    const __m512 linear = _mm512_set1_ps(-2.3022082f), cubic = _mm512_set1_ps(-0.10294324f);
    const __m512 power = _mm512_mul_ps(x, _mm512_fmadd_ps(_mm512_mul_ps(x, x), cubic, linear));
    const __m512 raised_power = raised<4>(_mm512_min_ps(power, _mm512_set1_ps(126.0f)));
    const __m512 divisor = _mm512_add_ps(_mm512_set1_ps(1.0f), raised_power);
    const __m512 inverse = _mm512_rcp14_ps(divisor);
    return _mm512_mul_ps(x, _mm512_mul_ps(inverse, _mm512_fnmadd_ps(divisor, inverse, _mm512_set1_ps(2.0f))));
}

// Turns the sums of a panel into numbers, some rows at a time.
template <Number kNumber, bool kAdds, bool kActivates>
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
            _mm512_storeu_ps(to, kActivates ? gelu_of(first) : first);
            _mm512_storeu_ps(to + 16, kActivates ? gelu_of(second) : second);
        }
    }
};

// While the tile unit computes a panel, the vector units finish the one before.
template <Number kNumber, bool kAdds, bool kActivates>
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
        const PanelRows<kNumber, kAdds, kActivates> before(product, panel - 1, sums[(panel - 1) % 2]);
        const std::uint8_t* ahead =
            product.ahead + static_cast<std::size_t>(panel - product.begin) * tiles * product.ahead_bytes;
        tiles_of(panel, [&](int tile) {
            const int begin = tile * together, end = begin + together;
            before.finish(begin < kPanel ? begin : kPanel, end < kPanel ? end : kPanel);
            if (product.ahead == nullptr) return;
            for (int at = 0; at < product.ahead_bytes; at += 64)
                _mm_prefetch(ahead + tile * product.ahead_bytes + at, _MM_HINT_T1);
        });
    }
    PanelRows<kNumber, kAdds, kActivates>(product, product.end - 1, sums[(product.end - 1) % 2]).finish(0, kPanel);
}

template <Number kNumber, bool kAdds>
void multiply_with(const PanelProduct& product) {
    product.activates ? multiply_as<kNumber, kAdds, true>(product) : multiply_as<kNumber, kAdds, false>(product);
}

void multiply(const PanelProduct& product) {
    if (product.matrix->number == Number::kInt8) {
        product.adds ? multiply_with<Number::kInt8, true>(product) : multiply_with<Number::kInt8, false>(product);
    } else {
        product.adds ? multiply_with<Number::kBf16, true>(product) : multiply_with<Number::kBf16, false>(product);
    }
}

constexpr int kChunkPanels = 4;  // of keys: their scores and shares stay in the L1 cache

// What one step of attention leaves for the next: a chunk's scores and shares, and sums over all chunks.
struct alignas(64) AttentionBuffers {
    Sums scores[kChunkPanels];
    std::uint8_t shares[kChunkPanels * 2 * kTileBytes];
    Sums weighted[kMostHead / kPanel];
    float totals[kPanel][16];
};

// Does not keep results below 2**-126, which would take the processor 50 times as long.
class WithoutDenormals {
   public:
    WithoutDenormals() : before_(_mm_getcsr()) { _mm_setcsr(before_ | _MM_FLUSH_ZERO_ON); }
    ~WithoutDenormals() { _mm_setcsr(before_); }
    WithoutDenormals(const WithoutDenormals&) = delete;
    WithoutDenormals& operator=(const WithoutDenormals&) = delete;

   private:
    const unsigned before_;
};

inline void multiply_step(const std::uint8_t* rows, const std::uint8_t* outputs) {
    TILE_LOAD(4, rows);
    TILE_STREAM(6, outputs);
    TILE_LOAD(5, rows + kTileBytes);
    TILE_STREAM(7, outputs + kTileBytes);
    TILE_BF16(0, 4, 6);
    TILE_BF16(1, 4, 7);
    TILE_BF16(2, 5, 6);
    TILE_BF16(3, 5, 7);
}

inline void clear_sums() {
    TILE_ZERO(0);
    TILE_ZERO(1);
    TILE_ZERO(2);
    TILE_ZERO(3);
}

inline void load_sums(const Sums& from) {
    TILE_LOAD(0, from.whole);
    TILE_LOAD(1, from.whole + kTileValues);
    TILE_LOAD(2, from.whole + 2 * kTileValues);
    TILE_LOAD(3, from.whole + 3 * kTileValues);
}

inline void store_sums(Sums& to) {
    TILE_STORE(0, to.whole);
    TILE_STORE(1, to.whole + kTileValues);
    TILE_STORE(2, to.whole + 2 * kTileValues);
    TILE_STORE(3, to.whole + 3 * kTileValues);
}

// The attention of one head for 32 queries, chunk by chunk of keys.
class AttentionOfPanel {
   public:
    explicit AttentionOfPanel(const HeadAttention& head) : head_(head), steps_(head.dims / 32) {}

    // Finds each query's largest score.
    void find_largest(float* largest) {
        for (auto& most : buffers_.totals) _mm512_store_ps(most, _mm512_set1_ps(kNever));
        for (int chunk = 0; chunk < chunks(); ++chunk) {
            for (int step = 0; step < steps_ * panels_of(chunk); ++step) score(chunk, step);
            for (int row = 0; row < kPanel; ++row) {
                __m512 most = _mm512_load_ps(buffers_.totals[row]);
                for (int panel = 0; panel < panels_of(chunk); ++panel) {
                    const float* found = scores_of(panel, row);
                    most = _mm512_max_ps(most, _mm512_load_ps(found));
                    most = _mm512_max_ps(most, _mm512_load_ps(found + kTileValues));
                }
                _mm512_store_ps(buffers_.totals[row], most);
            }
        }
        for (int row = 0; row < kPanel; ++row)
            largest[row] = _mm512_reduce_max_ps(_mm512_load_ps(buffers_.totals[row]));
    }

    // Weighs the values by shares relative to `largest`, or as they are without it; finds each query's sum.
    template <bool kIsRelative>
    void weigh(const float* largest, float* sums_of_rows) {
        for (auto& total : buffers_.totals) _mm512_store_ps(total, _mm512_setzero_ps());
        for (int chunk = 0; chunk < chunks(); ++chunk) {
            for (int step = 0; step < steps_ * panels_of(chunk); ++step) score(chunk, step);
            for (int row = 0; row < kPanel; ++row) share<kIsRelative>(chunk, row, largest);
            for (int step = 0; step < steps_ * panels_of(chunk); ++step) weigh_values(chunk, step);
        }
        for (int row = 0; row < kPanel; ++row)
            sums_of_rows[row] = _mm512_reduce_add_ps(_mm512_load_ps(buffers_.totals[row]));
    }

    void write(const float* sums_of_rows) const {
        for (int row = 0; row < kPanel; ++row) {
            const __m512 inverse = _mm512_set1_ps(1.0f / sums_of_rows[row]);
            float* out = head_.out + row * head_.stride;
            for (int step = 0; step < steps_; ++step)
                for (int half = 0; half < 2; ++half, out += 16) {
                    const float* found = buffers_.weighted[step].real + sums_of(row) + half * kTileValues;
                    _mm512_storeu_ps(out, _mm512_mul_ps(_mm512_load_ps(found), inverse));
                }
        }
    }

   private:
    int chunks() const { return (head_.key_panels() + kChunkPanels - 1) / kChunkPanels; }
    int panels_of(int chunk) const {
        const int left = head_.key_panels() - chunk * kChunkPanels;
        return left < kChunkPanels ? left : kChunkPanels;
    }
    const float* scores_of(int panel, int row) const {
        return buffers_.scores[panel].real + sums_of(row);
    }

    // One of a chunk's steps to its scores, panel by panel.
    void score(int chunk, int step) {
        const int inside = step % steps_, panel = step / steps_, key_panel = chunk * kChunkPanels + panel;
        if (inside == 0) clear_sums();
        multiply_step(head_.queries + inside * 2 * kTileBytes,
                      head_.keys + (static_cast<std::size_t>(key_panel) * steps_ + inside) * 2 * kTileBytes);
        if (inside + 1 < steps_) return;
        store_sums(buffers_.scores[panel]);
        const int keys = head_.keys_count - key_panel * kPanel;
        if (keys < kPanel) hide_keys(buffers_.scores[panel], (1u << keys) - 1);
    }

    // Keys that do not exist have no share.
    static void hide_keys(Sums& sums, std::uint32_t keys) {
        const __m512 never = _mm512_set1_ps(kNever);
        for (int row = 0; row < kPanel; ++row)
            for (int half = 0; half < 2; ++half) {
                float* found = sums.real + sums_of(row) + half * kTileValues;
                _mm512_mask_store_ps(found, static_cast<__mmask16>(~keys >> 16 * half), never);
            }
    }

    // One of a chunk's steps to the weighted values, 32 dimensions after the other.
    void weigh_values(int chunk, int step) {
        const int panels = panels_of(chunk), inside = step % panels, dims = step / panels;
        const std::size_t key_panel = static_cast<std::size_t>(dims) * head_.key_panels() + chunk * kChunkPanels + inside;
        Sums& sums = buffers_.weighted[dims];
        if (inside == 0) chunk == 0 ? clear_sums() : load_sums(sums);
        multiply_step(buffers_.shares + inside * 2 * kTileBytes, head_.values + key_panel * 2 * kTileBytes);
        if (inside + 1 == panels) store_sums(sums);
    }

    // Turns a query's scores of a chunk into its shares.
    template <bool kIsRelative>
    void share(int chunk, int row, const float* largest) {
        std::uint8_t* to = buffers_.shares + row_in_tiles(row);
        __m512 total = _mm512_load_ps(buffers_.totals[row]);
        for (int panel = 0; panel < panels_of(chunk); ++panel, to += 2 * kTileBytes) {
            const float* found = scores_of(panel, row);
            __m512 low = _mm512_load_ps(found), high = _mm512_load_ps(found + kTileValues);
            if (kIsRelative) {
                low = _mm512_sub_ps(low, _mm512_set1_ps(largest[row]));
                high = _mm512_sub_ps(high, _mm512_set1_ps(largest[row]));
            }
            low = raised<3>(low);
            high = raised<3>(high);
            total = _mm512_add_ps(total, _mm512_add_ps(low, high));
            _mm512_store_si512(to, bf16_pair(low, high));
        }
        _mm512_store_ps(buffers_.totals[row], total);
    }

    const HeadAttention& head_;
    const int steps_;  // of 32 dimensions
    AttentionBuffers buffers_;
};

// Floating point has room for scores as they are: only where a query's largest is beyond it, is it found first.
void attend(const HeadAttention& head) {
    const WithoutDenormals mode;
    AttentionOfPanel panel(head);
    float sums[kPanel];
    panel.weigh<false>(nullptr, sums);
    bool fits = true;
    for (int row = 0; row < kPanel; ++row) fits = fits && kLeastSum < sums[row] && sums[row] < kMostSum;
    if (!fits) {
        float largest[kPanel];
        panel.find_largest(largest);
        panel.weigh<true>(largest, sums);
    }
    panel.write(sums);
}

}  // namespace

const EncoderPath* amx_encoder_path() {
    static const EncoderPath path = {"amx", kPanel, false, false, false, true, true, 0, begin, end, multiply, norm, gelu,
                                     pack, store_queries, store_keys, store_values, attend};
    return &path;
}

}  // namespace smallsight
