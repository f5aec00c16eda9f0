// Weighted sums of bytes, over a type `Whole` of 16 integers; included like path_body.hpp.

template <int kVectors>
inline void mix_some(const WeightedBytes& bytes, std::size_t at, std::uint8_t* out) {
    Whole sums[kVectors];
    for (Whole& sum : sums) sum = Whole::all(1 << (kWeightBits - 1));
    const std::uint8_t* from = bytes.from + at;
    for (int tap = 0; tap < bytes.taps; ++tap, from += bytes.stride) {
        const Whole weight = Whole::all(bytes.weights[tap]);
        for (int vector = 0; vector < kVectors; ++vector) sums[vector].add(from + vector * kLanes, weight);
    }
    for (int vector = 0; vector < kVectors; ++vector) sums[vector].store_bytes(out + at + vector * kLanes);
}

void mix(const WeightedBytes& bytes, std::size_t count, std::uint8_t* out) {
    constexpr std::size_t kVectors = 3;
    std::size_t at = 0;
    for (; at + kVectors * kLanes <= count; at += kVectors * kLanes) mix_some<kVectors>(bytes, at, out);
    for (; at + kLanes <= count; at += kLanes) mix_some<1>(bytes, at, out);
    for (; at < count; ++at) {
        std::int32_t sum = 1 << (kWeightBits - 1);
        for (int tap = 0; tap < bytes.taps; ++tap) sum += bytes.from[tap * bytes.stride + at] * bytes.weights[tap];
        sum >>= kWeightBits;
        out[at] = static_cast<std::uint8_t>(sum < 0 ? 0 : sum > 255 ? 255 : sum);
    }
}
