// Times steps of SmolVLM-256M's decoder with random codes, 1,100 tokens in the cache, in one thread's processor time.
//
// step_time BITS [ROUNDS] [PATH]
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <random>
#include <vector>

#include "decode_step.hpp"

namespace smallsight {

namespace {

constexpr int kTokens = 1100, kBlocks = kTokens / kBlockTokens + 1, kMostRows = 8, kGroup = 64;
constexpr DecoderShape kShape = {30, 576, 9, 3, 64, 1536, 49280, 8192, 1e-5f, LayerKind::kGated, 272};

double processor_ms() {
    timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return 1e3 * static_cast<double>(now.tv_sec) + 1e-6 * static_cast<double>(now.tv_nsec);
}

Linear random_linear(int outputs, int inputs, int bits, bool is_gated, std::mt19937& random, Arena& arena) {
    std::vector<std::uint8_t> codes(static_cast<std::size_t>(outputs) * inputs * bits / 8);
    for (std::uint8_t& code : codes) code = static_cast<std::uint8_t>(random() & 0x7f);
    const std::vector<std::uint16_t> scales(static_cast<std::size_t>(outputs) * inputs / kGroup, 0x1000);
    return {pack({codes.data(), scales.data(), outputs, inputs, kGroup, bits}, is_gated, arena), {}};
}

void time_steps(DecodeStep& step, int rows, int rounds) {
    std::vector<std::int32_t> lengths(rows, 1), positions(rows, kTokens), prefixes(rows, 0), tables, begins;
    for (int row = 0; row < rows; ++row) {
        begins.push_back(row * kBlocks);
        for (int block = 0; block < kBlocks; ++block) tables.push_back(row * kBlocks + block);
    }
    const std::vector<std::uint8_t> wants(rows, 1);
    const std::vector<float> embeddings(static_cast<std::size_t>(rows) * kShape.hidden, 0.5f);
    std::vector<float> logits(static_cast<std::size_t>(rows) * kShape.vocabulary), hidden(embeddings.size());
    std::vector<double> taken;
    for (int round = 0; round < rounds; ++round) {
        const double started = processor_ms();
        step.run({rows, lengths.data(), positions.data(), prefixes.data(), tables.data(), begins.data(), wants.data(),
                  embeddings.data(), logits.data(), hidden.data()});
        taken.push_back(processor_ms() - started);
    }
    std::sort(taken.begin(), taken.end());
    std::printf("%d sequences: best %.2f ms, median %.2f\n", rows, taken.front(), taken[taken.size() / 2]);
}

void time_all(int bits, int rounds, const KernelPath* path) {
    DecodeStep step(kShape, std::vector<float>(kShape.head_dim / 2, 0.1f), 1, path);
    std::mt19937 random(7);
    const Norm ones = {std::vector<float>(kShape.hidden, 1.0f), {}};
    const auto linear = [&](int outputs, int inputs, bool is_gated) {
        return random_linear(outputs, inputs, bits, is_gated, random, step.arena());
    };
    const std::size_t size =
        static_cast<std::size_t>(kMostRows) * kBlocks * kShape.kv_heads * kBlockTokens * kShape.head_dim;
    std::vector<AlignedArray<std::uint16_t>> caches;  // in large pages, as in Python
    for (int index = 0; index < kShape.layers; ++index) {
        DecoderLayer& layer = step.layer(index);
        layer.attention_norm = layer.ffn_norm = ones;
        layer.attention = linear(kShape.joined_width(), kShape.hidden, false);
        layer.output = linear(kShape.hidden, kShape.heads * kShape.head_dim, false);
        layer.ffn_up = linear(2 * kShape.ffn, kShape.hidden, true);
        layer.ffn_down = linear(kShape.hidden, kShape.ffn, false);
        for (std::uint16_t** side : {&layer.keys, &layer.values}) {
            caches.push_back(aligned_array<std::uint16_t>(size));
            std::fill_n(caches.back().get(), size, 0x3e80);
            *side = caches.back().get();
        }
    }
    step.set_head(ones, linear(kShape.vocabulary, kShape.hidden, false));
    for (const int rows : {1, kMostRows}) time_steps(step, rows, rounds);
}

}  // namespace

}  // namespace smallsight

int main(int count, char** given) {
    const int bits = count > 1 ? std::atoi(given[1]) : 8, rounds = count > 2 ? std::atoi(given[2]) : 40;
    const smallsight::KernelPath* path = smallsight::choose_path(count > 3 ? given[3] : "auto");
    if (path == nullptr || (bits != 8 && bits != 4)) return 1;
    std::printf("%s, %d bits\n", path->name, bits);
    smallsight::time_all(bits, rounds, path);
    return 0;
}
