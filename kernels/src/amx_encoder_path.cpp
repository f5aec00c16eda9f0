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

constexpr unsigned kTileValues = 256;

// Sums of a product of 32 rows and 32 outputs: two tiles of the upper rows, then two of the lower ones.
union Sums {
    alignas(64) std::int32_t whole[4 * kTileValues];
    float real[4 * kTileValues];
};

// Where a row's first 16 sums are; the others are a tile further.
inline unsigned sums_of(unsigned row) { return row / 16 * 2 * kTileValues + row % 16 * 16; }

inline std::size_t row_in_tiles(unsigned row) { return row / 16 * kTileBytes + row % 16 * 64; }

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

// What 16 outputs need for their sums to become numbers.
template <Number kNumber>
struct Columns {
    __m512 scale, weighted_sum, bias;

    Columns(const PanelProduct& product, int output) {
        const PanelMatrix& matrix = *product.matrix;
        bias = product.segment == 0 ? _mm512_load_ps(matrix.bias + output) : _mm512_setzero_ps();
        if (kNumber == Number::kInt8) {
            const std::size_t place = static_cast<std::size_t>(product.segment) * matrix.outputs + output;
            scale = _mm512_load_ps(matrix.scales + place);
            weighted_sum = _mm512_load_ps(matrix.weighted_sums + place);
        }
    }

    __m512 values(const std::int32_t* sums, const RowPanel& rows, int row) const {
        if (kNumber == Number::kBf16) return _mm512_add_ps(_mm512_castsi512_ps(_mm512_load_si512(sums)), bias);
        const __m512 base = _mm512_fnmadd_ps(_mm512_set1_ps(rows.zeros[row]), weighted_sum, bias);
        const __m512 scaled = _mm512_mul_ps(scale, _mm512_set1_ps(rows.scales[row]));
        return _mm512_fmadd_ps(_mm512_cvtepi32_ps(_mm512_load_si512(sums)), scaled, base);
    }
};

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
            __m512 first = low.values(found, rows, row), second = high.values(found + kTileValues, rows, row);
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

// Returns 2**x for x from -126 to 126; relative error 8e-5 with `kTerms` 3, and 3e-6 with 4.
template <int kTerms>
inline __m512 power_of_two(__m512 x) {
    const __m512 shift = _mm512_set1_ps(12582912.0f);  // 1.5 * 2**23: a sum with it has no fraction
    const __m512 shifted = _mm512_add_ps(x, shift);
    const __m512 rest = _mm512_sub_ps(x, _mm512_sub_ps(shifted, shift));
    __m512 sum;
    if (kTerms == 3) {
        sum = _mm512_fmadd_ps(_mm512_set1_ps(5.50886838e-2f), rest, _mm512_set1_ps(2.42604051e-1f));
        sum = _mm512_fmadd_ps(sum, rest, _mm512_set1_ps(6.93276242e-1f));
        sum = _mm512_fmadd_ps(sum, rest, _mm512_set1_ps(9.9992894e-1f));
    } else {
        sum = _mm512_fmadd_ps(_mm512_set1_ps(9.56051021e-3f), rest, _mm512_set1_ps(5.59170392e-2f));
        sum = _mm512_fmadd_ps(sum, rest, _mm512_set1_ps(2.40249811e-1f));
        sum = _mm512_fmadd_ps(sum, rest, _mm512_set1_ps(6.93121968e-1f));
        sum = _mm512_fmadd_ps(sum, rest, _mm512_set1_ps(9.99999191e-1f));
    }
    const __m512i exponent = _mm512_slli_epi32(_mm512_castps_si512(shifted), 23);
    return _mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(sum), exponent));
}

void norm(const float* values, const float* weight, const float* bias, float epsilon, int size, float* out) {
    __m512 sum = _mm512_setzero_ps(), squares = _mm512_setzero_ps();
    for (int at = 0; at < size; at += 16) sum = _mm512_add_ps(sum, _mm512_loadu_ps(values + at));
    const __m512 mean = _mm512_set1_ps(_mm512_reduce_add_ps(sum) / static_cast<float>(size));
    for (int at = 0; at < size; at += 16) {
        const __m512 centred = _mm512_sub_ps(_mm512_loadu_ps(values + at), mean);
        squares = _mm512_fmadd_ps(centred, centred, squares);
    }
    const float variance = _mm512_reduce_add_ps(squares) / static_cast<float>(size);
    const __m512 factor = _mm512_set1_ps(1.0f / std::sqrt(variance + epsilon));
    for (int at = 0; at < size; at += 16) {
        const __m512 centred = _mm512_mul_ps(_mm512_sub_ps(_mm512_loadu_ps(values + at), mean), factor);
        _mm512_storeu_ps(out + at, _mm512_fmadd_ps(centred, _mm512_loadu_ps(weight + at), _mm512_loadu_ps(bias + at)));
    }
}

// x / (1 + e**-2u) with u = sqrt(2 / pi) * (x + 0.044715 x**3), which is x / 2 * (1 + tanh(u)).
void gelu(float* values, int size) {
    const __m512 linear = _mm512_set1_ps(-2.3022082f), cubic = _mm512_set1_ps(-0.10294324f);
    const __m512 one = _mm512_set1_ps(1.0f), most = _mm512_set1_ps(126.0f), least = _mm512_set1_ps(-126.0f);
    for (int at = 0; at < size; at += 16) {
        const __m512 x = _mm512_loadu_ps(values + at);
        __m512 power = _mm512_mul_ps(x, _mm512_fmadd_ps(_mm512_mul_ps(x, x), cubic, linear));
        power = _mm512_max_ps(_mm512_min_ps(power, most), least);
        const __m512 divisor = _mm512_add_ps(one, power_of_two<4>(power));
        const __m512 inverse = _mm512_rcp14_ps(divisor);
        const __m512 refined = _mm512_mul_ps(inverse, _mm512_fnmadd_ps(divisor, inverse, _mm512_set1_ps(2.0f)));
        _mm512_storeu_ps(values + at, _mm512_mul_ps(x, refined));
    }
}

inline __m512i bf16_pair(const float* values) {
    return reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(_mm512_loadu_ps(values + 16), _mm512_loadu_ps(values)));
}

void pack_codes(const float* values, int size, int row, const RowPanel& rows) {
    __m512 least = _mm512_setzero_ps(), most = _mm512_setzero_ps();  // 0 has a code always
    for (int at = 0; at < size; at += 16) {
        const __m512 some = _mm512_loadu_ps(values + at);
        least = _mm512_min_ps(least, some);
        most = _mm512_max_ps(most, some);
    }
    const float low = _mm512_reduce_min_ps(least), range = _mm512_reduce_max_ps(most) - low;
    const float scale = range / 255.0f, inverse = range > 0.0f ? 255.0f / range : 0.0f;
    const float zero = std::nearbyint(-low * inverse);
    rows.scales[row] = scale;
    rows.zeros[row] = scale * zero;
    const __m512 factor = _mm512_set1_ps(inverse), offset = _mm512_set1_ps(zero);
    std::uint8_t* to = rows.tiles + row_in_tiles(row);
    for (int at = 0; at < size; at += kStepValues, to += 2 * kTileBytes)
        for (int part = 0; part < kStepValues; part += 16) {
            const __m512 code = _mm512_fmadd_ps(_mm512_loadu_ps(values + at + part), factor, offset);
            const __m512i whole = _mm512_max_epi32(_mm512_cvtps_epi32(code), _mm512_setzero_si512());
            _mm_store_si128(reinterpret_cast<__m128i*>(to + part), _mm512_cvtusepi32_epi8(whole));
        }
}

void pack(const float* values, int size, int row, Number number, const RowPanel& rows) {
    if (number == Number::kInt8) return pack_codes(values, size, row, rows);
    std::uint8_t* to = rows.tiles + row_in_tiles(row);
    for (int at = 0; at < size; at += 32, to += 2 * kTileBytes) _mm512_store_si512(to, bf16_pair(values + at));
}

void store_queries(const HeadRows& head, float scale) {
    const __m512 factor = _mm512_set1_ps(scale);
    for (int row = 0; row < kPanel; ++row) {
        const float* values = head.values + row * head.stride;
        std::uint8_t* to = head.tiles + row_in_tiles(row);
        for (int at = 0; at < head.dims; at += 32, to += 2 * kTileBytes) {
            const __m512 low = _mm512_mul_ps(_mm512_loadu_ps(values + at), factor);
            const __m512 high = _mm512_mul_ps(_mm512_loadu_ps(values + at + 16), factor);
            _mm512_store_si512(to, reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high, low)));
        }
    }
}

// Exchanges rows and columns of 16 x 16 values of 32 bits.
inline void transpose(__m512i* rows) {
    __m512i half[16], whole[16];
    for (int at = 0; at < 16; at += 2) {
        half[at] = _mm512_unpacklo_epi32(rows[at], rows[at + 1]);
        half[at + 1] = _mm512_unpackhi_epi32(rows[at], rows[at + 1]);
    }
    for (int at = 0; at < 16; at += 4) {  // whole[4q + c]: columns c, c + 4, c + 8, c + 12 of rows 4q to 4q + 3
        whole[at] = _mm512_unpacklo_epi64(half[at], half[at + 2]);
        whole[at + 1] = _mm512_unpackhi_epi64(half[at], half[at + 2]);
        whole[at + 2] = _mm512_unpacklo_epi64(half[at + 1], half[at + 3]);
        whole[at + 3] = _mm512_unpackhi_epi64(half[at + 1], half[at + 3]);
    }
    for (int at = 0; at < 4; ++at) {
        const __m512i a = _mm512_shuffle_i32x4(whole[at], whole[at + 4], 0x88);
        const __m512i b = _mm512_shuffle_i32x4(whole[at + 8], whole[at + 12], 0x88);
        const __m512i c = _mm512_shuffle_i32x4(whole[at], whole[at + 4], 0xDD);
        const __m512i d = _mm512_shuffle_i32x4(whole[at + 8], whole[at + 12], 0xDD);
        rows[at] = _mm512_shuffle_i32x4(a, b, 0x88);
        rows[at + 4] = _mm512_shuffle_i32x4(c, d, 0x88);
        rows[at + 8] = _mm512_shuffle_i32x4(a, b, 0xDD);
        rows[at + 12] = _mm512_shuffle_i32x4(c, d, 0xDD);
    }
}

void store_keys(const HeadRows& head) {
    std::uint8_t* to = head.tiles;
    for (int at = 0; at < head.dims; at += 32)
        for (int first = 0; first < kPanel; first += 16, to += kTileBytes) {
            __m512i pairs[16];
            for (int key = 0; key < 16; ++key) pairs[key] = bf16_pair(head.values + (first + key) * head.stride + at);
            transpose(pairs);
            for (int pair = 0; pair < 16; ++pair) _mm512_store_si512(to + pair * 64, pairs[pair]);
        }
}

void store_values(const HeadRows& head) {
    for (int at = 0; at < head.dims; at += 16) {
        std::uint8_t* to = head.tiles + at / 32 * head.dim_panel_bytes + at % 32 / 16 * kTileBytes;
        for (int key = 0; key < kPanel; key += 2, to += 64) {
            const float* values = head.values + key * head.stride + at;
            const auto even = reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(_mm512_loadu_ps(values)));
            const auto odd = reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(_mm512_loadu_ps(values + head.stride)));
            const __m512i high = _mm512_slli_epi32(_mm512_cvtepu16_epi32(odd), 16);
            _mm512_store_si512(to, _mm512_or_si512(_mm512_cvtepu16_epi32(even), high));
        }
    }
}

constexpr float kLargestPower = 112.0f;
constexpr float kMostSum = 2.5961484e33f;  // 2**111: a sum below it has no score that was cut off
constexpr float kLeastSum = 7.8886091e-31f;  // 2**-100: above it what was raised to 2**-126 does not count
constexpr float kNever = -1e30f;  // the score of a key that does not exist

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
            _mm512_store_si512(to + row_in_tiles(row), reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high, low)));
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
    static const EncoderPath path = {"amx", begin,         end,        multiply,     norm,  gelu,
                                     pack,  store_queries, store_keys, store_values, attend};
    return &path;
}

}  // namespace smallsight
