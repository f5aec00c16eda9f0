// The encoder's products in AVX2, of some rows and 16 outputs; included inside an unnamed namespace, after
// avx2_encoder_vectors.hpp.
//
// In int8 and int16, codes are widened to 16 bits, whose products are exact, and bfloat16 to float32, into memory that
// stays in the L1 and L2 caches. In int7 bytes are multiplied as they are: twice as many at once, without an overflow
// because of how weights are rounded.

// Sums of some rows and 16 outputs.
template <int kRows>
struct BlockSums {
    __m256 low[kRows], high[kRows];
};

// What is multiplied, after widening: rows at a stride, and 32 outputs as two halves.
struct Widened {
    alignas(64) std::uint8_t rows[kPanel * kMostValues * 2];
    alignas(64) std::uint8_t outputs[kPanel * kMostValues];
};

// Multiplies float32: `rows` at a stride, `outputs` [size][16] at a stride of values.
template <int kRows>
inline BlockSums<kRows> multiply_floats(const float* rows, std::size_t stride, const float* outputs, int size) {
    BlockSums<kRows> sums;
#pragma GCC unroll 8
    for (int row = 0; row < kRows; ++row) sums.low[row] = sums.high[row] = _mm256_setzero_ps();
    for (int at = 0; at < size; ++at, outputs += 16) {
        const __m256 low = _mm256_load_ps(outputs), high = _mm256_load_ps(outputs + 8);
#pragma GCC unroll 8
        for (int row = 0; row < kRows; ++row) {
            __m256 input;
            __m256 left_sum = sums.low[row], right_sum = sums.high[row];
            asm("vbroadcastss %[from], %[input]\n\t"
                "vfmadd231ps %[left], %[input], %[low]\n\t"
                "vfmadd231ps %[right], %[input], %[high]"
                : [input] "=&x"(input), [low] "+x"(left_sum), [high] "+x"(right_sum)
                : [from] "m"(rows[row * stride + at]), [left] "x"(low), [right] "x"(high));
            sums.low[row] = left_sum;
            sums.high[row] = right_sum;
        }
    }
    return sums;
}

// Four bytes of any type, as an operand in memory.
struct __attribute__((packed, may_alias)) FourBytes {
    std::int32_t value;
};

inline const FourBytes& four_at(const std::uint8_t* from) { return *reinterpret_cast<const FourBytes*>(from); }

// Sums of codes' products, and of 64 inputs each times their scales.
template <int kRows>
struct WholeSums {
    __m256i low[kRows], high[kRows];

    void clear() {
#pragma GCC unroll 8
        for (int row = 0; row < kRows; ++row) low[row] = high[row] = _mm256_setzero_si256();
    }
};

// In memory: the registers are those of the codes' sums.
template <int kRows>
struct ScaledSums {
    alignas(32) float values[kRows][16] = {};

    // The compiler does not move them into registers past this.
    void stay() { asm volatile("" : : "r"(values) : "memory"); }
    void add(const WholeSums<kRows>& whole, int row, __m256 low, __m256 high) {
        float* to = values[row];
        _mm256_store_ps(to, _mm256_fmadd_ps(_mm256_cvtepi32_ps(whole.low[row]), low, _mm256_load_ps(to)));
        _mm256_store_ps(to + 8, _mm256_fmadd_ps(_mm256_cvtepi32_ps(whole.high[row]), high, _mm256_load_ps(to + 8)));
    }
    BlockSums<kRows> in_registers() const {
        BlockSums<kRows> sums;
#pragma GCC unroll 8
        for (int row = 0; row < kRows; ++row) {
            sums.low[row] = _mm256_load_ps(values[row]);
            sums.high[row] = _mm256_load_ps(values[row] + 8);
        }
        return sums;
    }
};

// One row's pair of codes, times those of 16 outputs.
#define SMALLSIGHT_PAIR(row, place)                       \
    "vpbroadcastd " place "+8*" row "(%[rows]), %[some]\n\t" \
    "vpmaddwd %[left], %[some], %[more]\n\t"              \
    "vpaddd %[more], %[low" row "], %[low" row "]\n\t"    \
    "vpmaddwd %[right], %[some], %[some]\n\t"             \
    "vpaddd %[some], %[high" row "], %[high" row "]\n\t"
#define SMALLSIGHT_PAIRS(place, outputs_place)               \
    "vmovdqa " outputs_place "(%[outputs]), %[left]\n\t"     \
    "vmovdqa " outputs_place "+32(%[outputs]), %[right]\n\t" \
    SMALLSIGHT_PAIR("0", place) SMALLSIGHT_PAIR("1", place) SMALLSIGHT_PAIR("2", place) SMALLSIGHT_PAIR("3", place)

// Adds the products of 64 inputs of 4 joined rows and 16 outputs. In assembly, because compilers move sums to memory.
inline void add_codes(const std::uint8_t* rows, const std::uint8_t* outputs, WholeSums<4>& sums) {
    __m256i low0 = sums.low[0], low1 = sums.low[1], low2 = sums.low[2], low3 = sums.low[3];
    __m256i high0 = sums.high[0], high1 = sums.high[1], high2 = sums.high[2], high3 = sums.high[3];
    __m256i some, more, left, right;
    int eights = kStepValues / 8;
    asm volatile(
        "1:\n\t"
        SMALLSIGHT_PAIRS("0", "0") SMALLSIGHT_PAIRS("32", "64")
        SMALLSIGHT_PAIRS("4", "128") SMALLSIGHT_PAIRS("36", "192")
        "add $64, %[rows]\n\t"
        "add $256, %[outputs]\n\t"
        "dec %[eights]\n\t"
        "jnz 1b"
        : [rows] "+r"(rows), [outputs] "+r"(outputs), [eights] "+r"(eights), [low0] "+x"(low0), [low1] "+x"(low1),
          [low2] "+x"(low2), [low3] "+x"(low3), [high0] "+x"(high0), [high1] "+x"(high1), [high2] "+x"(high2),
          [high3] "+x"(high3), [some] "=&x"(some), [more] "=&x"(more), [left] "=&x"(left), [right] "=&x"(right)
        :
        : "memory", "cc");
    sums = {{low0, low1, low2, low3}, {high0, high1, high2, high3}};
}

// Multiplies widened codes; `scales` are those of 64 inputs each, or null.
template <int kRows>
inline BlockSums<kRows> multiply_codes(const std::uint8_t* rows, const std::uint8_t* outputs, int tiles,
                                       const float* scales) {
    constexpr int kRowBytes = 2 * kRows * kStepValues, kOutputBytes = 32 * kStepValues;
    ScaledSums<kRows> sums;
    WholeSums<kRows> whole;
    whole.clear();
    for (int tile = 0; tile < tiles; ++tile) {
        add_codes(rows + tile * kRowBytes, outputs + tile * kOutputBytes, whole);
        if (scales == nullptr && tile + 1 < tiles) continue;
        sums.stay();
        const __m256 low = scales == nullptr ? _mm256_set1_ps(1.0f) : _mm256_load_ps(scales + tile * kPanel);
        const __m256 high = scales == nullptr ? low : _mm256_load_ps(scales + tile * kPanel + 8);
#pragma GCC unroll 8
        for (int row = 0; row < kRows; ++row) sums.add(whole, row, low, high);
        whole.clear();
    }
    return sums.in_registers();
}

alignas(32) constexpr std::int16_t kOnes[16] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};

// Multiplies codes of 7 bits as they are: joined rows, `first` and those after it, and outputs in their tiles. `group`
// is that of the first output's first 64 inputs.
template <int kRows>
inline BlockSums<kRows> multiply_int7(const PanelProduct& product, const std::uint8_t* rows,
                                      const std::uint8_t* outputs, std::size_t group, int first) {
    ScaledSums<kRows> sums;
    for (int step = 0; step < product.matrix->segments.steps; ++step, group += kPanel) {
        const auto* minus = product.matrix->group_sums + group;
        WholeSums<kRows> whole;
#pragma GCC unroll 8
        for (int row = 0; row < kRows; ++row) {  // a zero has 16 bits, and so has what it is multiplied with
            const float* code = product.rows.zeros + step * kPanel + first + row;
            const __m256i zero = _mm256_cvtps_epi32(_mm256_broadcast_ss(code));
            whole.low[row] = _mm256_madd_epi16(zero, load_whole(minus));
            whole.high[row] = _mm256_madd_epi16(zero, load_whole(minus + 8));
        }
        for (int at = 0; at < 64; at += 8, outputs += 128, rows += 8 * kRows) {
            const __m256i low = load_whole(outputs), high = load_whole(outputs + 32);
            const __m256i next_low = load_whole(outputs + 64), next_high = load_whole(outputs + 96);
#pragma GCC unroll 8
            for (int row = 0; row < kRows; ++row) {
                __m256i some, more, first_products, next_products;
                __m256i left_sum = whole.low[row], right_sum = whole.high[row];
                asm("vpbroadcastd %[from], %[some]\n\t"
                    "vpbroadcastd %[next], %[more]\n\t"
                    "vpmaddubsw %[low_outputs], %[some], %[first_products]\n\t"
                    "vpmaddubsw %[next_low], %[more], %[next_products]\n\t"
                    "vpaddw %[next_products], %[first_products], %[first_products]\n\t"
                    "vpmaddwd %[ones], %[first_products], %[first_products]\n\t"
                    "vpaddd %[first_products], %[low], %[low]\n\t"
                    "vpmaddubsw %[high_outputs], %[some], %[some]\n\t"
                    "vpmaddubsw %[next_high], %[more], %[more]\n\t"
                    "vpaddw %[more], %[some], %[some]\n\t"
                    "vpmaddwd %[ones], %[some], %[some]\n\t"
                    "vpaddd %[some], %[high], %[high]"
                    : [some] "=&x"(some), [more] "=&x"(more), [first_products] "=&x"(first_products),
                      [next_products] "=&x"(next_products), [low] "+x"(left_sum), [high] "+x"(right_sum)
                    : [from] "m"(four_at(rows + row * 8)), [next] "m"(four_at(rows + row * 8 + 4)),
                      [low_outputs] "x"(low), [high_outputs] "x"(high), [next_low] "x"(next_low),
                      [next_high] "x"(next_high), [ones] "m"(kOnes));
                whole.low[row] = left_sum;
                whole.high[row] = right_sum;
            }
        }
        sums.stay();
        outputs += kTileBytes;  // those of the other 16 outputs
        const float* scales = product.matrix->group_scales + group;
        const __m256 low = _mm256_load_ps(scales), high = _mm256_load_ps(scales + 8);
#pragma GCC unroll 8
        for (int row = 0; row < kRows; ++row) {
            const __m256 scale = _mm256_broadcast_ss(product.rows.scales + step * kPanel + first + row);
            sums.add(whole, row, _mm256_mul_ps(scale, low), _mm256_mul_ps(scale, high));
        }
    }
    return sums.in_registers();
}

// Codes with a sign of 16 outputs from every other tile: [4 inputs][even pair, odd pair]
// [16 outputs].
void widen_outputs(const std::uint8_t* tiles, int count, std::uint8_t* to) {
    for (int tile = 0; tile < count; ++tile, tiles += 2 * kTileBytes)
        for (int line = 0; line < kTileBytes; line += 64, to += 128)
            for (int side = 0; side < 64; side += 32) {
                const __m256i codes = load_whole(tiles + line + side);
                store_whole(to + side, _mm256_srai_epi16(_mm256_slli_epi16(codes, 8), 8));
                store_whole(to + 64 + side, _mm256_srai_epi16(codes, 8));
            }
}

// Stores 8 codes of 4 rows; in 16 bits, the even ones of all rows, then the odd ones.
template <bool kWidens>
inline void store_joined(std::uint8_t*& to, __m256i codes) {
    store_whole(to, kWidens ? _mm256_and_si256(codes, _mm256_set1_epi16(255)) : codes);
    if (kWidens) store_whole(to + 32, _mm256_srli_epi16(codes, 8));
    to += kWidens ? 64 : 32;
}

// Lines of 64 bytes of 4 rows at a time: [4 rows][8 bytes][row][8].
template <bool kWidens>
void join_rows(const std::uint8_t* from, int row_count, int tiles, std::uint8_t* to) {
    for (int first = 0; first < row_count; first += 4)
        for (int tile = 0; tile < tiles; ++tile)
            for (int half = 0; half < 64; half += 32) {
                const std::uint8_t* rows = from + row_in_tiles(first) + tile * 2 * kTileBytes + half;
                const __m256i a = load_whole(rows), b = load_whole(rows + 64);
                const __m256i c = load_whole(rows + 128), d = load_whole(rows + 192);
                const __m256i ab_even = _mm256_unpacklo_epi64(a, b), ab_odd = _mm256_unpackhi_epi64(a, b);
                const __m256i cd_even = _mm256_unpacklo_epi64(c, d), cd_odd = _mm256_unpackhi_epi64(c, d);
                store_joined<kWidens>(to, _mm256_permute2x128_si256(ab_even, cd_even, 0x20));
                store_joined<kWidens>(to, _mm256_permute2x128_si256(ab_odd, cd_odd, 0x20));
                store_joined<kWidens>(to, _mm256_permute2x128_si256(ab_even, cd_even, 0x31));
                store_joined<kWidens>(to, _mm256_permute2x128_si256(ab_odd, cd_odd, 0x31));
            }
}

// Rows of bfloat16 as float32, [row][size].
void widen_rows(const std::uint8_t* tiles, int row_count, int size, float* to) {
    for (int row = 0; row < row_count; ++row) {
        const std::uint8_t* from = tiles + row_in_tiles(row);
        for (int at = 0; at < size; at += 32, from += 2 * kTileBytes)
            for (int part = 0; part < 32; part += 8, to += 8) {
                const __m128i bits = _mm_load_si128(reinterpret_cast<const __m128i*>(from + part * 2));
                _mm256_store_ps(to, _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16)));
            }
    }
}

// Columns of bfloat16 as float32: `size` inputs of 16 outputs from every other tile, [input][16].
void widen_columns(const std::uint8_t* tiles, int size, float* to) {
    for (int at = 0; at < size; at += 32, tiles += 2 * kTileBytes)
        for (int pair = 0; pair < std::min(16, (size - at) / 2); ++pair, to += 32)
            for (int side = 0; side < 2; ++side) {
                const __m256i pairs = load_whole(tiles + pair * 64 + side * 32);
                _mm256_store_ps(to + side * 8, widened_even(pairs));
                _mm256_store_ps(to + 16 + side * 8, widened_odd(pairs));
            }
}

