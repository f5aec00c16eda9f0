// The encoder's vector operations in AVX-512, which its paths share; included inside an unnamed namespace, after
// immintrin.h, cmath and encoder_path.hpp.

inline std::size_t row_in_tiles(unsigned row) { return row / 16 * kTileBytes + row % 16 * 64; }

#if defined(__AVX512BF16__)
inline __m256i bf16_half(__m512 values) { return reinterpret_cast<__m256i>(_mm512_cvtneps_pbh(values)); }

inline __m512i bf16_pair(__m512 low, __m512 high) {
    return reinterpret_cast<__m512i>(_mm512_cvtne2ps_pbh(high, low));
}
#else
inline __m256i bf16_half(__m512 values) {
    const __m512i bits = _mm512_castps_si512(values);
    const __m512i even = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    const __m512i rounded = _mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff)), even);
    return _mm512_cvtepi32_epi16(_mm512_srli_epi32(rounded, 16));
}

inline __m512i bf16_pair(__m512 low, __m512 high) {
    return _mm512_inserti64x4(_mm512_castsi256_si512(bf16_half(low)), bf16_half(high), 1);
}
#endif

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

    __m512 values(__m512i sums, const RowPanel& rows, int row) const {
        if (kNumber == Number::kBf16) return _mm512_add_ps(_mm512_castsi512_ps(sums), bias);
        const __m512 base = _mm512_fnmadd_ps(_mm512_set1_ps(rows.zeros[row]), weighted_sum, bias);
        const __m512 scaled = _mm512_mul_ps(scale, _mm512_set1_ps(rows.scales[row]));
        return _mm512_fmadd_ps(_mm512_cvtepi32_ps(sums), scaled, base);
    }
};

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

// Adds vectors in four sums, so that none waits for the one before; `size` is a multiple of 16.
template <typename Vector>
inline float sum_of_vectors(int size, Vector&& vector) {
    __m512 sums[4] = {_mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps(), _mm512_setzero_ps()};
    int at = 0;
    for (; at + 64 <= size; at += 64)
        for (int part = 0; part < 4; ++part) sums[part] = vector(at + 16 * part, sums[part]);
    for (; at < size; at += 16) sums[0] = vector(at, sums[0]);
    return _mm512_reduce_add_ps(_mm512_add_ps(_mm512_add_ps(sums[0], sums[1]), _mm512_add_ps(sums[2], sums[3])));
}

void norm(const float* values, const float* weight, const float* bias, float epsilon, int size, float* out) {
    const float sum = sum_of_vectors(
        size, [&](int at, __m512 before) { return _mm512_add_ps(before, _mm512_loadu_ps(values + at)); });
    const __m512 mean = _mm512_set1_ps(sum / static_cast<float>(size));
    const float squares = sum_of_vectors(size, [&](int at, __m512 before) {
        const __m512 centred = _mm512_sub_ps(_mm512_loadu_ps(values + at), mean);
        return _mm512_fmadd_ps(centred, centred, before);
    });
    const __m512 factor = _mm512_set1_ps(1.0f / std::sqrt(squares / static_cast<float>(size) + epsilon));
    for (int at = 0; at < size; at += 16) {
        const __m512 centred = _mm512_mul_ps(_mm512_sub_ps(_mm512_loadu_ps(values + at), mean), factor);
        _mm512_storeu_ps(out + at, _mm512_fmadd_ps(centred, _mm512_loadu_ps(weight + at), _mm512_loadu_ps(bias + at)));
    }
}

inline __m512 inverse_of(__m512 divisor) {
    const __m512 inverse = _mm512_rcp14_ps(divisor);
    return _mm512_mul_ps(inverse, _mm512_fnmadd_ps(divisor, inverse, _mm512_set1_ps(2.0f)));
}

inline __m512 limited(__m512 power) {
    return _mm512_max_ps(_mm512_min_ps(power, _mm512_set1_ps(126.0f)), _mm512_set1_ps(-126.0f));
}

// x / (1 + 2**power)
inline __m512 part_of(__m512 x, __m512 power) {
    return _mm512_mul_ps(x, inverse_of(_mm512_add_ps(_mm512_set1_ps(1.0f), power_of_two<4>(limited(power)))));
}

// x / (1 + e**-2u) with u = sqrt(2 / pi) * (x + 0.044715 x**3), which is x / 2 * (1 + tanh(u)).
inline __m512 tanh_gelu_of(__m512 x) {
    const __m512 linear = _mm512_set1_ps(-2.3022082f), cubic = _mm512_set1_ps(-0.10294324f);
    return part_of(x, _mm512_mul_ps(x, _mm512_fmadd_ps(_mm512_mul_ps(x, x), cubic, linear)));
}

// x / (1 + e**-1.702x)
inline __m512 quick_gelu_of(__m512 x) { return part_of(x, _mm512_mul_ps(x, _mm512_set1_ps(-2.4554669f))); }

// x times the normal distribution of x, whose upper tail is t * P(t) * e**(-x**2 / 2) with t = 1 / (1 + 0.2316419 |x|);
// at most 7.5e-8 away from it. Source: Abramowitz and Stegun, 26.2.17.
inline __m512 erf_gelu_of(__m512 x) {
    constexpr float kTerms[] = {1.330274429f, -1.821255978f, 1.781477937f, -0.356563782f, 0.319381530f};
    const __m512 size = _mm512_abs_ps(x);
    const __m512 t = inverse_of(_mm512_fmadd_ps(size, _mm512_set1_ps(0.2316419f), _mm512_set1_ps(1.0f)));
    __m512 sum = _mm512_set1_ps(kTerms[0]);
    for (int term = 1; term < 5; ++term) sum = _mm512_fmadd_ps(sum, t, _mm512_set1_ps(kTerms[term]));
    // log2(e) / 2, and 1 / sqrt(2 pi)
    const __m512 power = power_of_two<4>(limited(_mm512_mul_ps(_mm512_mul_ps(x, x), _mm512_set1_ps(-0.72134752f))));
    const __m512 tail = _mm512_mul_ps(_mm512_mul_ps(t, sum), _mm512_mul_ps(power, _mm512_set1_ps(0.39894228f)));
    return _mm512_fnmadd_ps(size, tail, _mm512_max_ps(x, _mm512_setzero_ps()));
}

template <typename Apply>
inline void apply(float* values, int size, Apply&& of) {
    for (int at = 0; at < size; at += 16) _mm512_storeu_ps(values + at, of(_mm512_loadu_ps(values + at)));
}

void activate(Activation activation, float* values, int size) {
    switch (activation) {
        case Activation::kTanhGelu: return apply(values, size, [](__m512 x) { return tanh_gelu_of(x); });
        case Activation::kQuickGelu: return apply(values, size, [](__m512 x) { return quick_gelu_of(x); });
        case Activation::kErfGelu: return apply(values, size, [](__m512 x) { return erf_gelu_of(x); });
        case Activation::kNone: return;
    }
}

inline __m512i bf16_pair(const float* values) {
    return bf16_pair(_mm512_loadu_ps(values), _mm512_loadu_ps(values + 16));
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
    // Whole numbers are narrowed with saturation, which keeps blocks of 16 bytes together: their order is restored.
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    const auto code = [&](const float* from) {
        return _mm512_cvtps_epi32(_mm512_fmadd_ps(_mm512_loadu_ps(from), factor, offset));
    };
    std::uint8_t* to = rows.tiles + row_in_tiles(row);
    for (int at = 0; at < size; at += kStepValues, to += 2 * kTileBytes) {
        const float* from = values + at;
        const __m512i low = _mm512_packs_epi32(code(from), code(from + 16));
        const __m512i high = _mm512_packs_epi32(code(from + 32), code(from + 48));
        _mm512_store_si512(to, _mm512_permutexvar_epi32(order, _mm512_packus_epi16(low, high)));
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
            _mm512_store_si512(to, bf16_pair(low, high));
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

// Stores 16 dimensions of two keys side by side.
inline void store_pair(const float* values, std::size_t stride, std::uint8_t* to) {
    const __m256i even = bf16_half(_mm512_loadu_ps(values)), odd = bf16_half(_mm512_loadu_ps(values + stride));
    const __m512i high = _mm512_slli_epi32(_mm512_cvtepu16_epi32(odd), 16);
    _mm512_store_si512(to, _mm512_or_si512(_mm512_cvtepu16_epi32(even), high));
}

void store_values(const HeadRows& head) {
    for (int at = 0; at < head.dims; at += 16) {
        std::uint8_t* to = head.tiles + at / 32 * head.dim_panel_bytes + at % 32 / 16 * kTileBytes;
        for (int key = 0; key < kPanel; key += 2, to += 64)
            store_pair(head.values + key * head.stride + at, head.stride, to);
    }
}

constexpr float kLargestPower = 112.0f;
constexpr float kMostSum = 2.5961484e33f;  // 2**111: a sum below it has no score that was cut off
constexpr float kLeastSum = 7.8886091e-31f;  // 2**-100: above it what was raised to 2**-126 does not count
constexpr float kNever = -1e30f;  // the score of a key that does not exist
