// Compares every function of every path that this processor runs with the plain path's, bit by bit, in sizes that a
// small decoder does not reach. `step_test` covers attention and whole steps.
#include <cstdio>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "kernel_path.hpp"

namespace smallsight {

namespace {

constexpr int kMostRows = 19, kOutputs = 77;  // 4 full blocks and a part of one

class Values {
   public:
    float normal() { return normal_(random_); }
    std::vector<float> floats(std::size_t count) {
        std::vector<float> values(count);
        for (float& value : values) value = normal();
        return values;
    }
    std::uint8_t byte() { return static_cast<std::uint8_t>(random_()); }

   private:
    std::mt19937 random_{11};
    std::normal_distribution<float> normal_;
};

// What one path makes of the same inputs as another one.
struct Results {
    std::string bytes;

    template <typename T>
    void add(const T* values, std::size_t count) {
        bytes.append(reinterpret_cast<const char*>(values), count * sizeof(T));
    }
};

struct Rows {
    AlignedArray<std::int8_t> codes;
    AlignedArray<float> scales;
    AlignedArray<std::int32_t> sums;
    QuantisedRows view;
};

Rows quantised(const KernelPath& path, const std::vector<float>& values, int inputs, int group, Results& results) {
    const int padded = (kMostRows + kLanes - 1) / kLanes * kLanes, groups = inputs / group;
    Rows rows{aligned_array<std::int8_t>(static_cast<std::size_t>(padded) * inputs),
              aligned_array<float>(static_cast<std::size_t>(padded) * groups),
              aligned_array<std::int32_t>(static_cast<std::size_t>(padded) * groups),
              {}};
    rows.view = {rows.codes.get(), rows.scales.get(), rows.sums.get(), inputs, groups};
    std::memset(rows.codes.get(), 0, static_cast<std::size_t>(padded) * inputs);
    for (int row = 0; row < kMostRows; ++row) {
        path.quantise(values.data() + static_cast<std::size_t>(row) * inputs, group, row, rows.view);
        results.add(rows.view.scales_of(row), 1);
    }
    results.add(rows.codes.get(), static_cast<std::size_t>(kMostRows) * inputs);
    results.add(rows.sums.get(), static_cast<std::size_t>(kMostRows) * groups);
    return rows;
}

// The bits of 2**-12 to almost 2**-11 as a 16-bit float, of either sign, and now and then a number below the normal ones.
std::uint16_t some_scale(Values& values) {
    const unsigned exponent = values.byte() % 16 == 0 ? 0u : 3u;
    return static_cast<std::uint16_t>((values.byte() % 2) << 15 | exponent << 10 | values.byte() << 2);
}

void multiply_all(const KernelPath& path, int bits, int group, Epilogue epilogue, Results& results) {
    Values values;
    const bool is_gated = epilogue == Epilogue::kGate;
    const int inputs = 3 * group, outputs = is_gated ? 6 * kLanes : kOutputs, width = is_gated ? outputs / 2 : outputs;
    std::vector<std::uint8_t> codes(static_cast<std::size_t>(outputs) * inputs * bits / 8);
    for (std::uint8_t& code : codes) do code = values.byte(); while (bits == 8 && code == 0x80);
    std::vector<std::uint16_t> scales(static_cast<std::size_t>(outputs) * (inputs / group));
    for (std::uint16_t& scale : scales) scale = some_scale(values);
    Arena arena;
    const PackedMatrix matrix = pack({codes.data(), scales.data(), outputs, inputs, group, bits}, is_gated, arena);
    const Rows rows =
        quantised(path, values.floats(static_cast<std::size_t>(kMostRows) * inputs), inputs, group, results);
    const std::vector<float> bias = values.floats(static_cast<std::size_t>(matrix.blocks) * kLanes);
    const auto scratch = aligned_array<std::int8_t>(product_scratch(inputs));
    for (int count = 1; count <= kMostRows; ++count) {
        std::vector<float> out(static_cast<std::size_t>(kMostRows) * width, 0.25f);
        const float* added = epilogue == Epilogue::kStore ? nullptr : bias.data();
        path.multiply(matrix, 0, matrix.blocks, rows.view, count,
                      {out.data(), static_cast<std::size_t>(width), width, epilogue, is_gated ? nullptr : added},
                      scratch.get());
        results.add(out.data(), out.size());
    }
}

void norm_all(const KernelPath& path, Results& results) {
    Values values;
    for (const int size : {16, 48, 96, 576}) {
        const std::vector<float> given = values.floats(size), weight = values.floats(size), bias = values.floats(size);
        std::vector<float> out(size);
        path.norm(given.data(), weight.data(), 1e-5f, size, out.data());
        results.add(out.data(), out.size());
        path.layer_norm(given.data(), weight.data(), bias.data(), 1e-5f, size, out.data());
        results.add(out.data(), out.size());
        path.rotate(out.data(), given.data(), weight.data(), size);
        results.add(out.data(), out.size());
    }
}

void mix_all(const KernelPath& path, Results& results) {
    Values values;
    for (const std::size_t count : {1u, 15u, 16u, 47u, 48u, 100u}) {
        constexpr int kTaps = 5;
        std::vector<std::uint8_t> bytes(count * kTaps), out(count);
        for (std::uint8_t& byte : bytes) byte = values.byte();
        std::vector<std::int32_t> weights;
        for (int tap = 0; tap < kTaps; ++tap)
            weights.push_back(static_cast<std::int32_t>(values.normal() * (1 << (kWeightBits - 1))));
        path.mix({bytes.data(), count, weights.data(), kTaps}, count, out.data());
        results.add(out.data(), out.size());
    }
}

void multiply_codes_all(const KernelPath& path, Results& results) {
    Values values;
    for (const int size : {16, 48, 384})
        for (const std::size_t rows : {1u, 3u, 4u, 9u}) {
            std::vector<std::int8_t> codes(rows * size);
            for (std::int8_t& code : codes) code = static_cast<std::int8_t>(values.byte());
            const std::vector<float> scales = values.floats(rows), vector = values.floats(size);
            std::vector<float> out(rows);
            path.multiply_codes(codes.data(), scales.data(), vector.data(), rows, size, out.data());
            results.add(out.data(), out.size());
        }
}

void pool_all(const KernelPath& path, Results& results) {
    Values values;
    constexpr int kHeads = 5, kRows = 37, kWidth = 144;
    const std::vector<float> queries = values.floats(kHeads * kWidth), rows = values.floats(kRows * kWidth);
    std::vector<float> shares(kHeads * Pooling::shares_stride(kRows)), out(kHeads * kWidth);
    path.pool({queries.data(), kHeads, rows.data(), kRows, kWidth, shares.data(), out.data()});
    results.add(out.data(), out.size());
    path.activate(out.data(), kWidth);
    results.add(out.data(), out.size());
}

void multiply_vector_all(const KernelPath& path, Results& results) {
    Values values;
    constexpr int kInputs = 192;
    const std::vector<float> vector = values.floats(kInputs), bias = values.floats(kOutputs + kLanes);
    std::vector<std::int8_t> codes(kOutputs * kInputs);
    for (std::int8_t& code : codes) code = static_cast<std::int8_t>(values.byte());
    std::vector<std::uint16_t> halves(codes.size());
    for (std::uint16_t& half : halves) {
        const float value = values.normal();
        std::uint32_t bits;
        std::memcpy(&bits, &value, sizeof bits);
        half = static_cast<std::uint16_t>(bits >> 16);
    }
    std::vector<float> out(kOutputs);
    for (const int group : {16, 64, 192}) {
        const std::vector<float> scales = values.floats(static_cast<std::size_t>(kOutputs) * (kInputs / group));
        path.multiply_vector({kOutputs, kInputs, group, codes.data(), scales.data(), nullptr, bias.data()}, 3, kOutputs,
                             vector.data(), out.data());
        results.add(out.data(), out.size());
    }
    path.multiply_vector({kOutputs, kInputs, 0, nullptr, nullptr, halves.data(), bias.data()}, 0, kOutputs - 1,
                         vector.data(), out.data());
    results.add(out.data(), out.size());
}

// Computes everything under names, so that a difference says where it is.
std::vector<std::pair<std::string, Results>> compute(const KernelPath& path) {
    std::vector<std::pair<std::string, Results>> all;
    const auto part = [&](const std::string& name) -> Results& { return all.emplace_back(name, Results()).second; };
    norm_all(path, part("norms and rotation"));
    mix_all(path, part("weighted bytes"));
    multiply_codes_all(path, part("rows of 8 bits"));
    pool_all(path, part("pooling"));
    multiply_vector_all(path, part("a matrix and one vector"));
    for (const int bits : {8, 4})
        for (const int group : {8, 16, 24, 40, 64, 128})
            for (const Epilogue epilogue :
                 {Epilogue::kStore, Epilogue::kAdd, Epilogue::kGate, Epilogue::kGelu, Epilogue::kExactGelu})
                multiply_all(path, bits, group, epilogue,
                             part(std::to_string(bits) + " bits in groups of " + std::to_string(group) +
                                  ", epilogue " + std::to_string(static_cast<int>(epilogue))));
    return all;
}

bool is_alike(const KernelPath& path) {
    const auto expected = compute(*plain_path()), found = compute(path);
    int differing = 0;
    for (std::size_t at = 0; at < expected.size(); ++at)
        if (expected[at].second.bytes != found[at].second.bytes) {
            std::printf("%s: %s: DIFFERENT\n", path.name, expected[at].first.c_str());
            ++differing;
        }
    std::printf("%s: %zu parts, %s\n", path.name, expected.size(), differing == 0 ? "alike" : "DIFFERENT");
    return differing == 0;
}

}  // namespace

}  // namespace smallsight

int main() {
    bool all = true;
    for (const char* name : {"avx2", "avx512", "amx", "dotprod", "i8mm"})
        if (const smallsight::KernelPath* path = smallsight::choose_path(name)) all = smallsight::is_alike(*path) && all;
    return all ? 0 : 1;
}
