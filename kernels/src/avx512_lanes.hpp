// 16 floats in one register of AVX-512; included inside an unnamed namespace, after immintrin.h.

struct Lanes {
    __m512 v;

    static Lanes all(float value) { return {_mm512_set1_ps(value)}; }
    static Lanes load(const float* from) { return {_mm512_loadu_ps(from)}; }
    static Lanes of_codes(const std::int8_t* codes) {
        return {_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(codes))))};
    }
    // Widens 16 pairs of bfloat16.
    static void load_pairs(const std::uint16_t* from, Lanes& first, Lanes& second) {
        const __m512i bits = _mm512_loadu_si512(from);
        first.v = _mm512_castsi512_ps(_mm512_slli_epi32(bits, 16));
        second.v = _mm512_castsi512_ps(_mm512_and_si512(bits, _mm512_set1_epi32(static_cast<int>(0xffff0000u))));
    }
    void store(float* to) const { _mm512_storeu_ps(to, v); }
    Lanes plus(Lanes o) const { return {_mm512_add_ps(v, o.v)}; }
    Lanes minus(Lanes o) const { return {_mm512_sub_ps(v, o.v)}; }
    Lanes times(Lanes o) const { return {_mm512_mul_ps(v, o.v)}; }
    Lanes over(Lanes o) const { return {_mm512_div_ps(v, o.v)}; }
    Lanes max(Lanes o) const { return {_mm512_max_ps(v, o.v)}; }
    Lanes times_plus(Lanes factor, Lanes term) const { return {_mm512_fmadd_ps(v, factor.v, term.v)}; }
    Lanes rounded() const { return {_mm512_roundscale_ps(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)}; }
    Lanes scaled_by_power(Lanes powers) const { return {_mm512_scalef_ps(v, powers.v)}; }
    float most() const { return _mm512_reduce_max_ps(v); }
    // Stores whole numbers as codes and returns their sum.
    std::int32_t store_codes(std::int8_t* to) const {
        const __m512i whole = _mm512_cvtps_epi32(v);
        _mm_storeu_si128(reinterpret_cast<__m128i*>(to), _mm512_cvtepi32_epi8(whole));
        return _mm512_reduce_add_epi32(whole);
    }
    float sum() const {
        const __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
        const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
        const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
        return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
    }
};
