// Runs steps of a small decoder on several threads, over and over, and compares them with one thread's. Built with
// a sanitizer, it shows races and bad reads in what the Python tests check for values.
#include <chrono>
#include <cstdio>
#include <cstring>
#include <random>
#include <thread>
#include <vector>

#include "decode_step.hpp"

namespace smallsight {

namespace {

constexpr int kBlocks = 24, kTableBlocks = 8, kSteps = 24;
constexpr DecoderShape kShape = {2, 64, 4, 2, 32, 96, 77, kTableBlocks * kBlockTokens, 1e-5f, LayerKind::kGated, 96};

std::vector<float> random_values(std::size_t count, std::mt19937& random) {
    std::normal_distribution<float> normal;
    std::vector<float> values(count);
    for (float& value : values) value = normal(random);
    return values;
}

PackedMatrix random_matrix(int outputs, int inputs, int bits, bool is_gated, std::mt19937& random, Arena& arena) {
    const int group = 32;
    std::vector<std::uint8_t> codes(static_cast<std::size_t>(outputs) * inputs * bits / 8);
    for (std::uint8_t& code : codes) do code = static_cast<std::uint8_t>(random()); while (code == 0x80);  // not in use
    const std::vector<std::uint16_t> scales(static_cast<std::size_t>(outputs) * inputs / group, 0x1000);
    return pack({codes.data(), scales.data(), outputs, inputs, group, bits}, is_gated, arena);
}

// A decoder with weights and a cache of its own, the same for one seed.
class Computer {
   public:
    Computer(int bits, int threads, const KernelPath* path)
        : step_(kShape, std::vector<float>(kShape.head_dim / 2, 0.1f), threads, path),
          caches_(2 * kShape.layers,
                  std::vector<std::uint16_t>(static_cast<std::size_t>(kBlocks) * kShape.kv_heads * kBlockTokens *
                                             kShape.head_dim)) {
        std::mt19937 random(7);
        const std::vector<float> ones(kShape.hidden, 1.0f);
        const auto matrix = [&](int outputs, int inputs, bool is_gated) -> Linear {
            return {random_matrix(outputs, inputs, bits, is_gated, random, step_.arena()), {}};
        };
        for (int index = 0; index < kShape.layers; ++index) {
            DecoderLayer& layer = step_.layer(index);
            layer.attention_norm = layer.ffn_norm = {ones, {}};
            layer.attention = matrix(kShape.joined_width(), kShape.hidden, false);
            layer.output = matrix(kShape.hidden, kShape.heads * kShape.head_dim, false);
            layer.ffn_up = matrix(2 * kShape.ffn, kShape.hidden, true);
            layer.ffn_down = matrix(kShape.hidden, kShape.ffn, false);
            layer.keys = caches_[2 * index].data();
            layer.values = caches_[2 * index + 1].data();
        }
        step_.set_head({ones, {}}, matrix(kShape.vocabulary, kShape.hidden, false));
        
    }

    // Computes a chunk of one sequence and the next token of another; returns their logits.
    std::vector<float> run(int number) {
        std::mt19937 random(number);
        const std::int32_t lengths[] = {1 + number % 40, 1}, positions[] = {number % 50, number};
        const std::int32_t prefixes[] = {0, 0}, begins[] = {0, kTableBlocks};
        const std::uint8_t wants[] = {1, 1};
        std::vector<std::int32_t> tables(2 * kTableBlocks);
        for (int at = 0; at < 2 * kTableBlocks; ++at) tables[at] = at;
        const std::vector<float> embeddings = random_values((lengths[0] + 1) * kShape.hidden, random);
        std::vector<float> logits(2 * kShape.vocabulary), hidden(2 * kShape.hidden);
        step_.run({2, lengths, positions, prefixes, tables.data(), begins, wants, embeddings.data(), logits.data(),
                   hidden.data()});
        if (number % 7 == 0) std::this_thread::sleep_for(std::chrono::microseconds(500));  // threads fall asleep
        return logits;
    }

   private:
    DecodeStep step_;
    std::vector<std::vector<std::uint16_t>> caches_;
};

std::vector<std::vector<float>> run_all(int bits, int threads, const KernelPath* path) {
    Computer computer(bits, threads, path);
    std::vector<std::vector<float>> logits;
    for (int number = 0; number < kSteps; ++number) logits.push_back(computer.run(number));
    return logits;
}

// Compares bits, in which numbers that are none are equal too.
bool are_alike(const std::vector<std::vector<float>>& found, const std::vector<std::vector<float>>& expected) {
    for (int number = 0; number < kSteps; ++number)
        if (std::memcmp(expected[number].data(), found[number].data(), found[number].size() * sizeof(float)) != 0)
            return false;
    return true;
}

bool runs_alike(int bits) {
    bool is_alike = true;
    const auto expected = run_all(bits, 1, plain_path());
    for (const char* name : {"plain", "avx2", "avx512", "amx", "dotprod", "i8mm"}) {
        const KernelPath* path = choose_path(name);
        if (path == nullptr) continue;
        const bool is_equal = are_alike(run_all(bits, 3, path), expected);
        std::printf("%s, %d bits, 3 threads: %s\n", name, bits, is_equal ? "alike" : "DIFFERENT");
        std::fflush(stdout);
        is_alike = is_equal && is_alike;
    }
    return is_alike;
}

}  // namespace

}  // namespace smallsight

int main() {
    const bool eight = smallsight::runs_alike(8), four = smallsight::runs_alike(4);
    return eight && four ? 0 : 1;
}
