// How many operations a second this processor's multiplying instructions make, by kind and number of threads.
//
// Each kind runs on registers only, with enough independent sums to hide its latency: no program gets more.
// Prints a JSON object: {"amx int8": {"1": 6.7e12, ...}, ...}. A product and a sum are two operations.
//
// Built and run by vision_ceiling.py: c++ -O2 -std=c++17 -pthread instruction_rates.cpp
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif
#endif

namespace {

struct Kind {
    const char* name;
    double operations;  // of one call
    void (*run)();
};

constexpr int kRepeats = 20000;  // in a call
constexpr int kSums = 12;        // independent ones

#if defined(__x86_64__)
#define ALL_SUMS(one) one(0) one(1) one(2) one(3) one(4) one(5) one(6) one(7) one(8) one(9) one(10) one(11)
#define CLEAR(n) "vpxor %%xmm" #n ", %%xmm" #n ", %%xmm" #n "\n\t"

#define ALL_REGISTERS                                                                                          \
    "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12", \
        "xmm13", "xmm14", "xmm15"
#define REPEAT(instruction) \
    for (int at = 0; at < kRepeats; ++at) asm volatile(ALL_SUMS(instruction)::: ALL_REGISTERS)

#define FP32_AVX2(n) "vfmadd231ps %%ymm14, %%ymm15, %%ymm" #n "\n\t"
#define INT8_AVX2(n) "%{vex%} vpdpbusd %%ymm14, %%ymm15, %%ymm" #n "\n\t"
#define FP32_AVX512(n) "vfmadd231ps %%zmm14, %%zmm15, %%zmm" #n "\n\t"
#define INT8_AVX512(n) "vpdpbusd %%zmm14, %%zmm15, %%zmm" #n "\n\t"
#define BF16_AVX512(n) "vdpbf16ps %%zmm14, %%zmm15, %%zmm" #n "\n\t"

void clear() { asm volatile(ALL_SUMS(CLEAR) CLEAR(14) CLEAR(15)::: ALL_REGISTERS); }
void fp32_avx2() { clear(); REPEAT(FP32_AVX2); }
void int8_avx_vnni() { clear(); REPEAT(INT8_AVX2); }
void fp32_avx512() { clear(); REPEAT(FP32_AVX512); }
void int8_avx512() { clear(); REPEAT(INT8_AVX512); }
void bf16_avx512() { clear(); REPEAT(BF16_AVX512); }

// Without dot products, AVX2 multiplies bytes to 16 bits, and adds pairs to 32 bits.
void int8_avx2() {
    clear();
#define INT8_PAIRS(n)                                     \
    "vpmaddubsw %%ymm14, %%ymm15, %%ymm13\n\t"            \
    "vpmaddwd %%ymm13, %%ymm14, %%ymm13\n\t"              \
    "vpaddd %%ymm13, %%ymm" #n ", %%ymm" #n "\n\t"
    REPEAT(INT8_PAIRS);
}

// Widened to 16 bits, two products are added to 32 bits exactly.
void int16_avx2() {
    clear();
#define INT16_PAIRS(n)                         \
    "vpmaddwd %%ymm14, %%ymm15, %%ymm13\n\t" \
    "vpaddd %%ymm13, %%ymm" #n ", %%ymm" #n "\n\t"
    REPEAT(INT16_PAIRS);
}

// Where four products fit in 16 bits, they are added before they are widened. The last sum of all is not kept.
void int7_avx2() {
    clear();
#define INT7_FOURS(n)                         \
    "vpmaddubsw %%ymm14, %%ymm15, %%ymm13\n\t" \
    "vpmaddubsw %%ymm14, %%ymm15, %%ymm11\n\t" \
    "vpaddw %%ymm11, %%ymm13, %%ymm13\n\t"     \
    "vpmaddwd %%ymm13, %%ymm14, %%ymm13\n\t"   \
    "vpaddd %%ymm13, %%ymm" #n ", %%ymm" #n "\n\t"
    REPEAT(INT7_FOURS);
}

struct alignas(64) TileShapes {
    std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
    std::uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
    std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

#define TILES(instruction)                                                                    \
    static const TileShapes shapes;                                                           \
    asm volatile("ldtilecfg (%0)" ::"r"(&shapes) : "memory");                                 \
    asm volatile("tilezero %%tmm6\n\ttilezero %%tmm7" ::);                                    \
    for (int at = 0; at < kRepeats; ++at)                                                     \
        asm volatile(instruction " %%tmm7, %%tmm6, %%tmm0\n\t" instruction " %%tmm7, %%tmm6, %%tmm1\n\t" \
                     instruction " %%tmm7, %%tmm6, %%tmm2\n\t" instruction " %%tmm7, %%tmm6, %%tmm3" ::); \
    asm volatile("tilerelease" ::)

void int8_amx() { TILES("tdpbusd"); }
void bf16_amx() { TILES("tdpbf16ps"); }

bool has(unsigned value, int bit) { return (value >> bit & 1) != 0; }

std::vector<Kind> kinds() {
    std::vector<Kind> found;
    unsigned a = 0, b = 0, c = 0, d = 0, one_c = 0, more_a = 0;
    if (__get_cpuid(1, &a, &b, &one_c, &d) == 0 || !has(one_c, 27)) return found;
    unsigned low = 0, high = 0;
    asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    __get_cpuid_count(7, 1, &more_a, &b, &c, &d);
    __get_cpuid_count(7, 0, &a, &b, &c, &d);
    const double eight = 2.0 * kRepeats * kSums * 8;
    if (has(one_c, 12) && has(b, 5) && (low & 6) == 6) {
        found.push_back({"avx2 fp32", eight, fp32_avx2});
        found.push_back({"avx2 int8", 4 * eight, int8_avx2});
        found.push_back({"avx2 int16", 2 * eight, int16_avx2});
        found.push_back({"avx2 int8 by int7", 8 * eight, int7_avx2});
        if (has(more_a, 4)) found.push_back({"avx-vnni int8", 4 * eight, int8_avx_vnni});
    }
    if (has(b, 16) && (low & 0xe6) == 0xe6) {
        found.push_back({"avx-512 fp32", 2 * eight, fp32_avx512});
        if (has(c, 11)) found.push_back({"avx-512 int8", 8 * eight, int8_avx512});
        if (has(more_a, 5)) found.push_back({"avx-512 bf16", 4 * eight, bf16_avx512});
    }
#if defined(__linux__)
    const bool has_tiles = has(d, 22) && has(d, 24) && has(d, 25) && (low & 0x60000) == 0x60000;
    if (has_tiles && syscall(SYS_arch_prctl, 0x1023, 18) == 0) {  // permission for the state of tiles
        found.push_back({"amx int8", 2.0 * kRepeats * 4 * 16 * 16 * 64, int8_amx});
        found.push_back({"amx bf16", 2.0 * kRepeats * 4 * 16 * 16 * 32, bf16_amx});
    }
#endif
    return found;
}
#elif defined(__aarch64__) && defined(__ARM_FEATURE_DOTPROD)
void int8_dot() {
    for (int at = 0; at < kRepeats; ++at)
        asm volatile(
            "sdot v0.4s, v14.16b, v15.16b\n\tsdot v1.4s, v14.16b, v15.16b\n\tsdot v2.4s, v14.16b, v15.16b\n\t"
            "sdot v3.4s, v14.16b, v15.16b\n\tsdot v4.4s, v14.16b, v15.16b\n\tsdot v5.4s, v14.16b, v15.16b\n\t"
            "sdot v6.4s, v14.16b, v15.16b\n\tsdot v7.4s, v14.16b, v15.16b\n\tsdot v8.4s, v14.16b, v15.16b\n\t"
            "sdot v9.4s, v14.16b, v15.16b\n\tsdot v10.4s, v14.16b, v15.16b\n\tsdot v11.4s, v14.16b, v15.16b" ::
                : "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11");
}
std::vector<Kind> kinds() { return {{"arm dot int8", 2.0 * kRepeats * kSums * 16, int8_dot}}; }
#else
std::vector<Kind> kinds() { return {}; }
#endif

double now_s() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// The best of several turns, in which all threads work at once.
double rate(const Kind& kind, int threads) {
    double best = 0.0;
    for (int turn = 0; turn < 20; ++turn) {
        std::vector<std::thread> team;
        const double started_s = now_s();
        for (int thread = 0; thread < threads; ++thread)
            team.emplace_back([&] { for (int call = 0; call < 20; ++call) kind.run(); });
        for (std::thread& one : team) one.join();
        const double found = 20.0 * threads * kind.operations / (now_s() - started_s);
        best = found > best ? found : best;
    }
    return best;
}

}  // namespace

int main(int count, char** arguments) {
    std::string text = "{";
    for (const Kind& kind : kinds()) {
        text += std::string(text.size() > 1 ? ", " : "") + "\"" + kind.name + "\": {";
        for (int at = 1; at < count; ++at)
            text += std::string(at > 1 ? ", " : "") + "\"" + arguments[at] + "\": " +
                    std::to_string(rate(kind, std::atoi(arguments[at])));
        text += "}";
    }
    std::puts((text + "}").c_str());
}
