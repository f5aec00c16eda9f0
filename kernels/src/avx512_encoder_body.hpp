// The encoder's products and attention with AVX-512 VNNI; included inside an unnamed namespace, by a file for
// processors with vectors of bfloat16 and by one for those without.
//
// 8 rows and 32 outputs are summed in 16 registers. Each 4 bytes of inputs take two loads of weights and 8 broadcasts,
// and the weights of a panel stay in the L1 cache while they are multiplied with all rows.

#include "encoder_vectors_body.hpp"

constexpr int kBlockRows = 8;
constexpr int kFewRows = 4;  // of the last block
constexpr int kStepsOfTile = kTileBytes / 64;

// Calls `take(rows, first)` for blocks of 8 rows and for one of 4 that are left; `rows` is a type with a `value`.
template <typename Take>
inline void for_blocks(int row_count, Take&& take) {
    int first = 0;
    for (; first + kFewRows < row_count; first += kBlockRows) take(std::integral_constant<int, kBlockRows>(), first);
    if (first < row_count) take(std::integral_constant<int, kFewRows>(), first);
}

void begin() {}
void end() {}

#if defined(__AVX512BF16__)
inline __m512 add_bf16_products(__m512 sums, __m512i rows, __m512i outputs) {
    return _mm512_dpbf16_ps(sums, reinterpret_cast<__m512bh>(rows), reinterpret_cast<__m512bh>(outputs));
}
#else
inline __m512 widened_even(__m512i pairs) { return _mm512_castsi512_ps(_mm512_slli_epi32(pairs, 16)); }

inline __m512 widened_odd(__m512i pairs) {
    return _mm512_castsi512_ps(_mm512_and_si512(pairs, _mm512_set1_epi32(static_cast<int>(0xffff0000u))));
}

inline __m512 add_bf16_products(__m512 sums, __m512i rows, __m512i outputs) {
    sums = _mm512_fmadd_ps(widened_even(rows), widened_even(outputs), sums);
    return _mm512_fmadd_ps(widened_odd(rows), widened_odd(outputs), sums);
}
#endif

template <Number kNumber>
inline __m512i add_products(__m512i sums, __m512i rows, __m512i outputs) {
    if (kNumber == Number::kInt8) return _mm512_dpbusd_epi32(sums, rows, outputs);
    return _mm512_castps_si512(add_bf16_products(_mm512_castsi512_ps(sums), rows, outputs));
}

// Sums of some rows and 32 outputs.
template <int kRows>
struct BlockSums {
    __m512i low[kRows], high[kRows];
};

template <Number kNumber, int kRows>
inline void multiply_step(const std::uint8_t* rows, const std::uint8_t* outputs, BlockSums<kRows>& sums) {
    const __m512i low = _mm512_load_si512(outputs), high = _mm512_load_si512(outputs + kTileBytes);
#pragma GCC unroll 8
    for (int row = 0; row < kRows; ++row) {
        std::int32_t four;
        std::memcpy(&four, rows + row * 64, sizeof four);
        const __m512i inputs = _mm512_set1_epi32(four);
        sums.low[row] = add_products<kNumber>(sums.low[row], inputs, low);
        sums.high[row] = add_products<kNumber>(sums.high[row], inputs, high);
    }
}

// Adds whole numbers times a scale to sums of numbers.
inline __m512i add_scaled(__m512i sums, __m512i whole, __m512 scale) {
    return _mm512_castps_si512(_mm512_fmadd_ps(_mm512_cvtepi32_ps(whole), scale, _mm512_castsi512_ps(sums)));
}

// Weights that are read soon, fetched while others are multiplied: a line of the cache for each tile, or one and a
// half.
struct Ahead {
    const std::uint8_t* next = nullptr;
    bool is_more = false;

    void fetch(bool is_even) {
        if (next == nullptr) return;
        _mm_prefetch(next, _MM_HINT_T1);
        next += 64;
        if (!is_more || !is_even) return;
        _mm_prefetch(next, _MM_HINT_T1);
        next += 64;
    }
};

// Multiplies the rows that begin at `rows` with a panel, in steps of 4 bytes.
template <Number kNumber, int kRows>
inline BlockSums<kRows> multiply_block(const std::uint8_t* rows, const std::uint8_t* outputs, int steps,
                                       Ahead ahead = {}) {
    BlockSums<kRows> sums;
#pragma GCC unroll 8
    for (int row = 0; row < kRows; ++row) sums.low[row] = sums.high[row] = _mm512_setzero_si512();
    for (; steps >= kStepsOfTile; steps -= kStepsOfTile, rows += 2 * kTileBytes, outputs += 2 * kTileBytes) {
        ahead.fetch((steps & kStepsOfTile) != 0);
#pragma GCC unroll 16
        for (int step = 0; step < kStepsOfTile; ++step)
            multiply_step<kNumber, kRows>(rows + step * 4, outputs + step * 64, sums);
    }
    for (int step = 0; step < steps; ++step)
        multiply_step<kNumber, kRows>(rows + step * 4, outputs + step * 64, sums);
    return sums;
}

// The same for int8 with a scale for each tile's 64 inputs: the sums are numbers.
template <int kRows>
inline BlockSums<kRows> multiply_groups(const std::uint8_t* rows, const std::uint8_t* outputs, int tiles,
                                        const float* scales, Ahead ahead) {
    BlockSums<kRows> sums;
#pragma GCC unroll 8
    for (int row = 0; row < kRows; ++row) sums.low[row] = sums.high[row] = _mm512_setzero_si512();
    for (int tile = 0; tile < tiles; ++tile, rows += 2 * kTileBytes, outputs += 2 * kTileBytes, scales += kPanel) {
        ahead.fetch(tile % 2 == 0);
        const auto whole = multiply_block<Number::kInt8, kRows>(rows, outputs, kStepsOfTile);
        const __m512 low = _mm512_load_ps(scales), high = _mm512_load_ps(scales + 16);
#pragma GCC unroll 8
        for (int row = 0; row < kRows; ++row) {
            sums.low[row] = add_scaled(sums.low[row], whole.low[row], low);
            sums.high[row] = add_scaled(sums.high[row], whole.high[row], high);
        }
    }
    return sums;
}

enum class Scales { kOfSegment, kOfGroups };

// One panel of a product.
template <Number kNumber, Scales kScales, bool kAdds>
struct PanelOfProduct {
    const PanelProduct& product;
    const Columns<kNumber> low, high;
    const std::uint8_t* const outputs;
    const float* const group_scales;
    float* const out;
    const int steps;

    PanelOfProduct(const PanelProduct& product, int panel)
        : product(product),
          low(product, panel * kPanel),
          high(product, panel * kPanel + 16),
          outputs(product.matrix->panel(product.segment, panel)),
          group_scales(product.matrix->scales_of_groups(product.segment, panel)),
          out(product.out + static_cast<std::size_t>(panel - product.begin) * kPanel),
          steps(product.matrix->segments.steps * tiles_of_step(kNumber) * kStepsOfTile) {}

    template <int kRows>
    BlockSums<kRows> sums_of(int first, Ahead ahead) const {
        const std::uint8_t* rows = product.rows.tiles + row_in_tiles(first);
        if (kScales == Scales::kOfGroups)
            return multiply_groups<kRows>(rows, outputs, steps / kStepsOfTile, group_scales, ahead);
        return multiply_block<kNumber, kRows>(rows, outputs, steps, ahead);
    }

    __m512 values(const Columns<kNumber>& columns, __m512i sums, int row) const {
        if (kScales == Scales::kOfSegment) return columns.values(sums, product.rows, row);
        const __m512 base =
            _mm512_fnmadd_ps(_mm512_set1_ps(product.rows.zeros[row]), columns.weighted_sum, columns.bias);
        return _mm512_fmadd_ps(_mm512_castsi512_ps(sums), _mm512_set1_ps(product.rows.scales[row]), base);
    }

    template <int kRows>
    void multiply(int first, Ahead ahead) const {
        const auto sums = sums_of<kRows>(first, ahead);
#pragma GCC unroll 8
        for (int row = 0; row < kRows; ++row) {
            float* to = out + (first + row) * product.stride;
            __m512 left = values(low, sums.low[row], first + row);
            __m512 right = values(high, sums.high[row], first + row);
            if (kAdds) {
                left = _mm512_add_ps(left, _mm512_loadu_ps(to));
                right = _mm512_add_ps(right, _mm512_loadu_ps(to + 16));
            }
            _mm512_storeu_ps(to, left);
            _mm512_storeu_ps(to + 16, right);
        }
    }
};

template <Number kNumber, Scales kScales, bool kAdds>
void multiply_as(const PanelProduct& product) {
    const std::size_t block_bytes = static_cast<std::size_t>(product.matrix->segments.steps) * tiles_of_step(kNumber) *
                                    product.ahead_bytes * kBlockRows / kPanel;
    Ahead ahead = {product.ahead, product.ahead_bytes > kAheadBytes};
    for (int panel = product.begin; panel < product.end; ++panel) {
        const PanelOfProduct<kNumber, kScales, kAdds> one(product, panel);
        for_blocks(product.row_count, [&](auto rows, int first) {
            one.template multiply<decltype(rows)::value>(first, ahead);
            if (ahead.next != nullptr) ahead.next += block_bytes;
        });
    }
}

template <Number kNumber, Scales kScales>
void multiply_with(const PanelProduct& product) {
    product.adds ? multiply_as<kNumber, kScales, true>(product) : multiply_as<kNumber, kScales, false>(product);
}

void multiply(const PanelProduct& product) {
    if (product.matrix->number == Number::kBf16) {
        multiply_with<Number::kBf16, Scales::kOfSegment>(product);
    } else if (product.matrix->group_scales == nullptr) {
        multiply_with<Number::kInt8, Scales::kOfSegment>(product);
    } else {
        multiply_with<Number::kInt8, Scales::kOfGroups>(product);
    }
}

// The scores of some queries and a panel of keys.
template <int kRows>
inline BlockSums<kRows> score(const HeadAttention& head, int first, int panel) {
    const int steps = head.dims / 32;
    const std::size_t panel_bytes = static_cast<std::size_t>(steps) * 2 * kTileBytes;
    return multiply_block<Number::kBf16, kRows>(head.queries + row_in_tiles(first), head.keys + panel * panel_bytes,
                                                steps * kStepsOfTile);
}

// Which keys of a panel exist, one bit each.
inline std::uint32_t keys_of(const HeadAttention& head, int panel) {
    const int count = head.keys_count - panel * kPanel;
    return count >= kPanel ? 0xffffffffu : (1u << count) - 1;
}

// Finds the largest score of each of some queries.
template <int kRows>
void find_largest(const HeadAttention& head, int first, float* largest) {
    alignas(64) float most[kRows][16];
    for (auto& one : most) _mm512_store_ps(one, _mm512_set1_ps(kNever));
    for (int panel = 0; panel < head.key_panels(); ++panel) {
        const auto sums = score<kRows>(head, first, panel);
        const std::uint32_t keys = keys_of(head, panel);
        for (int row = 0; row < kRows; ++row) {
            const __m512 low = _mm512_castsi512_ps(sums.low[row]), high = _mm512_castsi512_ps(sums.high[row]);
            __m512 found = _mm512_load_ps(most[row]);
            found = _mm512_mask_max_ps(found, static_cast<__mmask16>(keys), found, low);
            found = _mm512_mask_max_ps(found, static_cast<__mmask16>(keys >> 16), found, high);
            _mm512_store_ps(most[row], found);
        }
    }
    for (int row = 0; row < kRows; ++row) largest[row] = _mm512_reduce_max_ps(_mm512_load_ps(most[row]));
}

// Turns the scores of some queries into powers of two relative to `largest`, or as they are without it; finds each
// query's sum. Keys that do not exist have no share.
template <int kRows, bool kIsRelative>
void share(const HeadAttention& head, int first, const float* largest, float* sums_of_rows) {
    alignas(64) float totals[kRows][16] = {};
    const __m512 least = _mm512_set1_ps(-126.0f), most = _mm512_set1_ps(kLargestPower);
    for (int panel = 0; panel < head.key_panels(); ++panel) {
        const auto sums = score<kRows>(head, first, panel);
        const std::uint32_t keys = keys_of(head, panel);
        std::uint8_t* to = head.shares + static_cast<std::size_t>(panel) * 2 * kTileBytes;
#pragma GCC unroll 8
        for (int row = 0; row < kRows; ++row, to += 64) {
            __m512 low = _mm512_castsi512_ps(sums.low[row]), high = _mm512_castsi512_ps(sums.high[row]);
            if (kIsRelative) {
                low = _mm512_sub_ps(low, _mm512_set1_ps(largest[row]));
                high = _mm512_sub_ps(high, _mm512_set1_ps(largest[row]));
            } else {
                low = _mm512_min_ps(low, most);
                high = _mm512_min_ps(high, most);
            }
            low = _mm512_maskz_mov_ps(static_cast<__mmask16>(keys), power_of_two<3>(_mm512_max_ps(low, least)));
            high = _mm512_maskz_mov_ps(static_cast<__mmask16>(keys >> 16), power_of_two<3>(_mm512_max_ps(high, least)));
            _mm512_store_ps(totals[row], _mm512_add_ps(_mm512_load_ps(totals[row]), _mm512_add_ps(low, high)));
            _mm512_store_si512(to, bf16_pair(low, high));
        }
    }
    for (int row = 0; row < kRows; ++row) sums_of_rows[row] = _mm512_reduce_add_ps(_mm512_load_ps(totals[row]));
}

// Floating point has room for scores as they are: only where a query's largest is beyond it, is it found first.
template <int kRows>
void share_all(const HeadAttention& head, int first, float* sums_of_rows) {
    share<kRows, false>(head, first, nullptr, sums_of_rows);
    bool fits = true;
    for (int row = 0; row < kRows; ++row)
        fits = fits && kLeastSum < sums_of_rows[row] && sums_of_rows[row] < kMostSum;
    if (fits) return;
    float largest[kRows];
    find_largest<kRows>(head, first, largest);
    share<kRows, true>(head, first, largest, sums_of_rows);
}

template <int kRows>
void attend_block(const HeadAttention& head, int first) {
    float sums_of_rows[kRows];
    share_all<kRows>(head, first, sums_of_rows);
    const std::size_t dim_panel_bytes = static_cast<std::size_t>(head.key_panels()) * 2 * kTileBytes;
    for (int at = 0; at < head.dims; at += 32) {
        const auto sums = multiply_block<Number::kBf16, kRows>(
            head.shares, head.values + at / 32 * dim_panel_bytes, (head.keys_count + 1) / 2);
#pragma GCC unroll 8
        for (int row = 0; row < kRows; ++row) {
            const __m512 inverse = _mm512_set1_ps(1.0f / sums_of_rows[row]);
            float* to = head.out + (first + row) * head.stride + at;
            _mm512_storeu_ps(to, _mm512_mul_ps(_mm512_castsi512_ps(sums.low[row]), inverse));
            _mm512_storeu_ps(to + 16, _mm512_mul_ps(_mm512_castsi512_ps(sums.high[row]), inverse));
        }
    }
}

void attend(const HeadAttention& head) {
    for_blocks(head.row_count, [&](auto rows, int first) { attend_block<decltype(rows)::value>(head, first); });
}
