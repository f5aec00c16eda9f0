// 16 floats, and 16 whole numbers, in four registers of NEON; included inside an unnamed namespace, after arm_neon.h.

constexpr int kFours = 4;

// Larger numbers lane by lane, with the second one where they are equal or none, as in the other paths.
inline float32x4_t larger(float32x4_t a, float32x4_t b) { return vbslq_f32(vcgtq_f32(a, b), a, b); }

struct Lanes {
    float32x4_t v[kFours];

    template <typename F>
    static Lanes each(F&& four) {
        return {four(0), four(1), four(2), four(3)};
    }
    static Lanes all(float value) {
        const float32x4_t four = vdupq_n_f32(value);
        return {four, four, four, four};
    }
    static Lanes load(const float* from) {
        return each([=](int four) { return vld1q_f32(from + 4 * four); });
    }
    static Lanes of_codes(const std::int8_t* codes) {
        const int8x16_t all = vld1q_s8(codes);
        const int16x8_t halves[] = {vmovl_s8(vget_low_s8(all)), vmovl_s8(vget_high_s8(all))};
        return each([&](int four) {
            const int16x8_t half = halves[four / 2];
            return vcvtq_f32_s32(vmovl_s16(four % 2 == 0 ? vget_low_s16(half) : vget_high_s16(half)));
        });
    }
    // Widens 16 pairs of bfloat16.
    static void load_pairs(const std::uint16_t* from, Lanes& first, Lanes& second) {
        for (int four = 0; four < kFours; ++four) {
            const uint32x4_t bits = vreinterpretq_u32_u16(vld1q_u16(from + 8 * four));
            first.v[four] = vreinterpretq_f32_u32(vshlq_n_u32(bits, 16));
            second.v[four] = vreinterpretq_f32_u32(vandq_u32(bits, vdupq_n_u32(0xffff0000u)));
        }
    }
    void store(float* to) const {
        for (int four = 0; four < kFours; ++four) vst1q_f32(to + 4 * four, v[four]);
    }
    Lanes plus(Lanes o) const {
        return each([&](int four) { return vaddq_f32(v[four], o.v[four]); });
    }
    Lanes minus(Lanes o) const {
        return each([&](int four) { return vsubq_f32(v[four], o.v[four]); });
    }
    Lanes times(Lanes o) const {
        return each([&](int four) { return vmulq_f32(v[four], o.v[four]); });
    }
    Lanes over(Lanes o) const {
        return each([&](int four) { return vdivq_f32(v[four], o.v[four]); });
    }
    Lanes max(Lanes o) const {
        return each([&](int four) { return larger(v[four], o.v[four]); });
    }
    Lanes times_plus(Lanes factor, Lanes term) const {
        return each([&](int four) { return vfmaq_f32(term.v[four], v[four], factor.v[four]); });
    }
    Lanes rounded() const {
        return each([&](int four) { return vrndnq_f32(v[four]); });
    }
    Lanes scaled_by_power(Lanes powers) const {
        return each([&](int four) {
            const int32x4_t biased = vaddq_s32(vcvtq_s32_f32(powers.v[four]), vdupq_n_s32(127));
            return vmulq_f32(v[four], vreinterpretq_f32_s32(vshlq_n_s32(biased, 23)));
        });
    }
    float most() const { return vmaxvq_f32(larger(larger(v[0], v[1]), larger(v[2], v[3]))); }
    // Stores whole numbers as codes and returns their sum.
    std::int32_t store_codes(std::int8_t* to) const {
        int32x4_t whole[kFours];
        for (int four = 0; four < kFours; ++four) whole[four] = vcvtq_s32_f32(v[four]);
        const int16x8_t low = vcombine_s16(vmovn_s32(whole[0]), vmovn_s32(whole[1]));
        const int16x8_t high = vcombine_s16(vmovn_s32(whole[2]), vmovn_s32(whole[3]));
        vst1q_s8(to, vcombine_s8(vmovn_s16(low), vmovn_s16(high)));
        return vaddvq_s32(vaddq_s32(vaddq_s32(whole[0], whole[1]), vaddq_s32(whole[2], whole[3])));
    }
    // Adds the upper half to the lower one until one is left.
    float sum() const {
        const float32x4_t four = vaddq_f32(vaddq_f32(v[0], v[2]), vaddq_f32(v[1], v[3]));
        const float32x2_t two = vadd_f32(vget_low_f32(four), vget_high_f32(four));
        return vget_lane_f32(two, 0) + vget_lane_f32(two, 1);
    }
};

inline Lanes sums_of(const Lanes* parts) {
    float sums[kLanes];
    for (int one = 0; one < kLanes; ++one) sums[one] = parts[one].sum();
    return Lanes::load(sums);
}

// Exchanges rows and lanes of 16 vectors.
inline void transpose(Lanes* rows) {
    float from[kLanes][kLanes], to[kLanes][kLanes];
    for (int row = 0; row < kLanes; ++row) rows[row].store(from[row]);
    for (int row = 0; row < kLanes; ++row)
        for (int lane = 0; lane < kLanes; ++lane) to[row][lane] = from[lane][row];
    for (int row = 0; row < kLanes; ++row) rows[row] = Lanes::load(to[row]);
}

struct Whole {
    int32x4_t v[kFours];

    static Whole all(std::int32_t value) {
        const int32x4_t four = vdupq_n_s32(value);
        return {four, four, four, four};
    }
    void add(const std::uint8_t* bytes, Whole weight) {
        const uint8x16_t some = vld1q_u8(bytes);
        const uint16x8_t low = vmovl_u8(vget_low_u8(some)), high = vmovl_u8(vget_high_u8(some));
        const uint16x4_t fours[kFours] = {vget_low_u16(low), vget_high_u16(low), vget_low_u16(high),
                                          vget_high_u16(high)};
        for (int four = 0; four < kFours; ++four)
            v[four] = vmlaq_s32(v[four], vreinterpretq_s32_u32(vmovl_u16(fours[four])), weight.v[four]);
    }
    void store_bytes(std::uint8_t* to) const {
        uint16x4_t narrow[kFours];  // at least 0, and at most 65535
        for (int four = 0; four < kFours; ++four) narrow[four] = vqmovun_s32(vshrq_n_s32(v[four], kWeightBits));
        vst1_u8(to, vqmovn_u16(vcombine_u16(narrow[0], narrow[1])));
        vst1_u8(to + 8, vqmovn_u16(vcombine_u16(narrow[2], narrow[3])));
    }
};
constexpr int kHeadsAtOnce = 1, kPairsAtOnce = 1, kRowsTogether = 4;

// Adds a group's products, scaled, to a row's sums.
inline void add_group(const int32x4_t* products, const std::uint16_t* scales, float row_scale, Lanes& sums) {
    for (int four = 0; four < kFours; ++four) {
        const float32x4_t scale = vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(scales + 4 * four)));
        sums.v[four] =
            vfmaq_f32(sums.v[four], vcvtq_f32_s32(products[four]), vmulq_f32(scale, vdupq_n_f32(row_scale)));
    }
}
