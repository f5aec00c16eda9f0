// The encoder's vector operations in AVX2; included inside an unnamed namespace, after immintrin.h, cmath and
// encoder_path.hpp.

inline std::size_t row_in_tiles(unsigned row) { return row / 16 * kTileBytes + row % 16 * 64; }

inline __m256i load_whole(const void* from) { return _mm256_load_si256(static_cast<const __m256i*>(from)); }
inline void store_whole(void* to, __m256i value) { _mm256_store_si256(static_cast<__m256i*>(to), value); }

// Bits of bfloat16 in the lower halves of 8 lanes, rounded to even.
inline __m256i bf16_lanes(__m256 values) {
    const __m256i bits = _mm256_castps_si256(values);
    const __m256i even = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    const __m256i rounded = _mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7fff)), even);
    return _mm256_srli_epi32(rounded, 16);
}

inline __m256i bf16_pair(__m256 low, __m256 high) {
    return _mm256_permute4x64_epi64(_mm256_packus_epi32(bf16_lanes(low), bf16_lanes(high)), 0xd8);
}

inline __m256 widened_even(__m256i pairs) { return _mm256_castsi256_ps(_mm256_slli_epi32(pairs, 16)); }

inline __m256 widened_odd(__m256i pairs) {
    return _mm256_castsi256_ps(_mm256_and_si256(pairs, _mm256_set1_epi32(static_cast<int>(0xffff0000u))));
}

inline float sum_of(__m256 values) {
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(values), _mm256_extractf128_ps(values, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

inline float most_of(__m256 values) {
    const __m128 four = _mm_max_ps(_mm256_castps256_ps128(values), _mm256_extractf128_ps(values, 1));
    const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}

inline float least_of(__m256 values) { return -most_of(_mm256_sub_ps(_mm256_setzero_ps(), values)); }

// Returns 2**x for x from -126 to 126; relative error 3e-6.
inline __m256 power_of_two(__m256 x) {
    const __m256 shift = _mm256_set1_ps(12582912.0f);  // 1.5 * 2**23: a sum with it has no fraction
    const __m256 shifted = _mm256_add_ps(x, shift);
    const __m256 rest = _mm256_sub_ps(x, _mm256_sub_ps(shifted, shift));
    __m256 sum = _mm256_fmadd_ps(_mm256_set1_ps(9.56051021e-3f), rest, _mm256_set1_ps(5.59170392e-2f));
    sum = _mm256_fmadd_ps(sum, rest, _mm256_set1_ps(2.40249811e-1f));
    sum = _mm256_fmadd_ps(sum, rest, _mm256_set1_ps(6.93121968e-1f));
    sum = _mm256_fmadd_ps(sum, rest, _mm256_set1_ps(9.99999191e-1f));
    const __m256i exponent = _mm256_slli_epi32(_mm256_castps_si256(shifted), 23);
    return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(sum), exponent));
}

void norm(const float* values, const float* weight, const float* bias, float epsilon, int size, float* out) {
    __m256 sum = _mm256_setzero_ps(), squares = _mm256_setzero_ps();
    for (int at = 0; at < size; at += 8) sum = _mm256_add_ps(sum, _mm256_loadu_ps(values + at));
    const __m256 mean = _mm256_set1_ps(sum_of(sum) / static_cast<float>(size));
    for (int at = 0; at < size; at += 8) {
        const __m256 centred = _mm256_sub_ps(_mm256_loadu_ps(values + at), mean);
        squares = _mm256_fmadd_ps(centred, centred, squares);
    }
    const float variance = sum_of(squares) / static_cast<float>(size);
    const __m256 factor = _mm256_set1_ps(1.0f / std::sqrt(variance + epsilon));
    for (int at = 0; at < size; at += 8) {
        const __m256 centred = _mm256_mul_ps(_mm256_sub_ps(_mm256_loadu_ps(values + at), mean), factor);
        _mm256_storeu_ps(out + at, _mm256_fmadd_ps(centred, _mm256_loadu_ps(weight + at), _mm256_loadu_ps(bias + at)));
    }
}

inline __m256 limited(__m256 power) {
    return _mm256_max_ps(_mm256_min_ps(power, _mm256_set1_ps(126.0f)), _mm256_set1_ps(-126.0f));
}

// x / (1 + 2**power)
inline __m256 part_of(__m256 x, __m256 power) {
    return _mm256_div_ps(x, _mm256_add_ps(_mm256_set1_ps(1.0f), power_of_two(limited(power))));
}

// x / (1 + e**-2u) with u = sqrt(2 / pi) * (x + 0.044715 x**3), which is x / 2 * (1 + tanh(u)).
inline __m256 tanh_gelu_of(__m256 x) {
    const __m256 linear = _mm256_set1_ps(-2.3022082f), cubic = _mm256_set1_ps(-0.10294324f);
    return part_of(x, _mm256_mul_ps(x, _mm256_fmadd_ps(_mm256_mul_ps(x, x), cubic, linear)));
}

// x / (1 + e**-1.702x)
inline __m256 quick_gelu_of(__m256 x) { return part_of(x, _mm256_mul_ps(x, _mm256_set1_ps(-2.4554669f))); }

// x times the normal distribution of x, whose upper tail is t * P(t) * e**(-x**2 / 2) with t = 1 / (1 + 0.2316419 |x|);
// at most 7.5e-8 away from it. Source: Abramowitz and Stegun, 26.2.17.
inline __m256 erf_gelu_of(__m256 x) {
    constexpr float kTerms[] = {1.330274429f, -1.821255978f, 1.781477937f, -0.356563782f, 0.319381530f};
    const __m256 size = _mm256_andnot_ps(_mm256_set1_ps(-0.0f), x), one = _mm256_set1_ps(1.0f);
    const __m256 t = _mm256_div_ps(one, _mm256_fmadd_ps(size, _mm256_set1_ps(0.2316419f), one));
    __m256 sum = _mm256_set1_ps(kTerms[0]);
    for (int term = 1; term < 5; ++term) sum = _mm256_fmadd_ps(sum, t, _mm256_set1_ps(kTerms[term]));
    // log2(e) / 2, and 1 / sqrt(2 pi)
    const __m256 power = power_of_two(limited(_mm256_mul_ps(_mm256_mul_ps(x, x), _mm256_set1_ps(-0.72134752f))));
    const __m256 tail = _mm256_mul_ps(_mm256_mul_ps(t, sum), _mm256_mul_ps(power, _mm256_set1_ps(0.39894228f)));
    return _mm256_fnmadd_ps(size, tail, _mm256_max_ps(x, _mm256_setzero_ps()));
}

template <typename Apply>
inline void apply(float* values, int size, Apply&& of) {
    for (int at = 0; at < size; at += 8) _mm256_storeu_ps(values + at, of(_mm256_loadu_ps(values + at)));
}

void activate(Activation activation, float* values, int size) {
    switch (activation) {
        case Activation::kTanhGelu: return apply(values, size, [](__m256 x) { return tanh_gelu_of(x); });
        case Activation::kQuickGelu: return apply(values, size, [](__m256 x) { return quick_gelu_of(x); });
        case Activation::kErfGelu: return apply(values, size, [](__m256 x) { return erf_gelu_of(x); });
        case Activation::kNone: return;
    }
}

// Rounds 32 values to codes without a sign, none above `most`.
inline __m256i codes_of(const float* values, __m256 factor, __m256 offset, __m256i most) {
    __m256i whole[4];
    for (int part = 0; part < 4; ++part)
        whole[part] = _mm256_cvtps_epi32(_mm256_fmadd_ps(_mm256_loadu_ps(values + part * 8), factor, offset));
    const __m256i codes = _mm256_packus_epi16(_mm256_packs_epi32(whole[0], whole[1]),
                                              _mm256_packs_epi32(whole[2], whole[3]));
    const __m256i ordered = _mm256_permutevar8x32_epi32(codes, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
    return _mm256_min_epu8(ordered, most);
}

// Packs some values, a multiple of 64, with codes up to `most`; returns the zero's code.
float pack_codes(const float* values, int size, int most_code, std::uint8_t* to, float& scale) {
    __m256 least = _mm256_setzero_ps(), most = _mm256_setzero_ps();  // 0 has a code always
    for (int at = 0; at < size; at += 8) {
        const __m256 some = _mm256_loadu_ps(values + at);
        least = _mm256_min_ps(least, some);
        most = _mm256_max_ps(most, some);
    }
    const float low = least_of(least), range = most_of(most) - low, codes = static_cast<float>(most_code);
    const float inverse = range > 0.0f ? codes / range : 0.0f, zero = std::nearbyint(-low * inverse);
    scale = range / codes;
    const __m256 factor = _mm256_set1_ps(inverse), offset = _mm256_set1_ps(zero);
    const __m256i limit = _mm256_set1_epi8(static_cast<char>(most_code));
    for (int at = 0; at < size; at += kStepValues, to += 2 * kTileBytes)
        for (int part = 0; part < kStepValues; part += 32)
            store_whole(to + part, codes_of(values + at + part, factor, offset, limit));
    return zero;
}

// Eight values as whole numbers, those with even places first.
inline __m256i whole_numbers(const float* values, __m256 factor) {
    const __m256i whole = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(values), factor));
    return _mm256_permutevar8x32_epi32(whole, _mm256_setr_epi32(0, 2, 4, 6, 1, 3, 5, 7));
}

// Of eight inputs, 0 and 2 are a pair, 4 and 6, 1 and 3, 5 and 7, as in widened weights.
void pack_int16(const float* values, int size, int row, const RowPanel& rows) {
    const __m256 no_sign = _mm256_castsi256_ps(_mm256_set1_epi32(0x7fffffff));
    __m256 most = _mm256_setzero_ps();
    for (int at = 0; at < size; at += 8)
        most = _mm256_max_ps(most, _mm256_and_ps(_mm256_loadu_ps(values + at), no_sign));
    const float largest = most_of(most);
    rows.scales[row] = largest / kMostInt16;
    const __m256 factor = _mm256_set1_ps(largest > 0.0f ? kMostInt16 / largest : 0.0f);
    std::uint8_t* to = rows.tiles + row_in_tiles(row);
    for (int at = 0; at < size; at += 32, to += 2 * kTileBytes)
        for (int part = 0; part < 32; part += 16) {
            const float* from = values + at + part;
            const __m256i pairs = _mm256_packs_epi32(whole_numbers(from, factor), whole_numbers(from + 8, factor));
            store_whole(to + part * 2, _mm256_permute4x64_epi64(pairs, 0xd8));
        }
}

inline __m256i bf16_pair(const float* values) {
    return bf16_pair(_mm256_loadu_ps(values), _mm256_loadu_ps(values + 8));
}

void pack(const float* values, int size, int row, Number number, const RowPanel& rows) {
    std::uint8_t* to = rows.tiles + row_in_tiles(row);
    if (number == Number::kInt16) return pack_int16(values, size, row, rows);
    if (number == Number::kInt8) {
        const float zero = pack_codes(values, size, 255, to, rows.scales[row]);
        rows.zeros[row] = zero * rows.scales[row];
        return;
    }
    if (number == Number::kInt7) {
        for (int at = 0, place = row; at < size; at += kStepValues, place += kPanel, to += 2 * kTileBytes)
            rows.zeros[place] = pack_codes(values + at, kStepValues, kMostInt7, to, rows.scales[place]);
        return;
    }
    for (int at = 0; at < size; at += 32, to += 2 * kTileBytes) {
        store_whole(to, bf16_pair(values + at));
        store_whole(to + 32, bf16_pair(values + at + 16));
    }
}

void store_queries(const HeadRows& head, float scale) {
    const __m256 factor = _mm256_set1_ps(scale);
    for (int row = 0; row < kPanel; ++row) {
        const float* values = head.values + row * head.stride;
        std::uint8_t* to = head.tiles + row_in_tiles(row);
        for (int at = 0; at < head.dims; at += 32, to += 2 * kTileBytes)
            for (int part = 0; part < 32; part += 16) {
                const __m256 low = _mm256_mul_ps(_mm256_loadu_ps(values + at + part), factor);
                const __m256 high = _mm256_mul_ps(_mm256_loadu_ps(values + at + part + 8), factor);
                store_whole(to + part * 2, bf16_pair(low, high));
            }
    }
}

// Exchanges rows and columns of 8 x 8 values of 32 bits.
inline void transpose(__m256i* rows) {
    __m256i half[8], whole[8];
    for (int at = 0; at < 8; at += 2) {
        half[at] = _mm256_unpacklo_epi32(rows[at], rows[at + 1]);
        half[at + 1] = _mm256_unpackhi_epi32(rows[at], rows[at + 1]);
    }
    for (int at = 0; at < 8; at += 4) {  // whole[4q + c]: columns c and c + 4 of rows 4q to 4q + 3
        whole[at] = _mm256_unpacklo_epi64(half[at], half[at + 2]);
        whole[at + 1] = _mm256_unpackhi_epi64(half[at], half[at + 2]);
        whole[at + 2] = _mm256_unpacklo_epi64(half[at + 1], half[at + 3]);
        whole[at + 3] = _mm256_unpackhi_epi64(half[at + 1], half[at + 3]);
    }
    for (int at = 0; at < 4; ++at) {
        rows[at] = _mm256_permute2x128_si256(whole[at], whole[at + 4], 0x20);
        rows[at + 4] = _mm256_permute2x128_si256(whole[at], whole[at + 4], 0x31);
    }
}

// Eight keys and 16 dimensions at a time: a line has a pair of dimensions of 16 keys.
void store_keys(const HeadRows& head) {
    std::uint8_t* to = head.tiles;
    for (int at = 0; at < head.dims; at += 32)
        for (int first = 0; first < kPanel; first += 16, to += kTileBytes)
            for (int part = 0; part < 4; ++part) {
                const int dim = part / 2 * 16, key = part % 2 * 8;
                __m256i pairs[8];
                for (int one = 0; one < 8; ++one)
                    pairs[one] = bf16_pair(head.values + (first + key + one) * head.stride + at + dim);
                transpose(pairs);
                for (int pair = 0; pair < 8; ++pair)
                    store_whole(to + (dim / 2 + pair) * 64 + key * 4, pairs[pair]);
            }
}

void store_values(const HeadRows& head) {
    for (int at = 0; at < head.dims; at += 8) {
        std::uint8_t* to = head.tiles + at / 32 * head.dim_panel_bytes + at % 32 / 16 * kTileBytes + at % 16 * 4;
        for (int key = 0; key < kPanel; key += 2, to += 64) {
            const float* values = head.values + key * head.stride + at;
            const __m256i even = bf16_lanes(_mm256_loadu_ps(values));
            const __m256i odd = bf16_lanes(_mm256_loadu_ps(values + head.stride));
            store_whole(to, _mm256_or_si256(even, _mm256_slli_epi32(odd, 16)));
        }
    }
}
