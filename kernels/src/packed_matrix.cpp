#include "packed_matrix.hpp"

#include <cstdlib>
#include <cstring>
#include <new>
#include <stdexcept>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace smallsight {

constexpr std::size_t kLargePage = std::size_t{1} << 21;
constexpr std::size_t kChunk = 16 * kLargePage;  // much more than a layer's matrix, so that little is left over

void AlignedDeleter::operator()(void* memory) const { std::free(memory); }

void* allocate_aligned(std::size_t num_bytes) {
    const std::size_t alignment = num_bytes < kLargePage ? 64 : kLargePage;
    const std::size_t rounded = (num_bytes + alignment - 1) / alignment * alignment;
    void* memory = std::aligned_alloc(alignment, rounded == 0 ? alignment : rounded);
    if (memory == nullptr) throw std::bad_alloc();
#if defined(__linux__)
    if (alignment == kLargePage) madvise(memory, rounded, MADV_HUGEPAGE);  // no loss where it is refused
#endif
    return memory;
}

std::uint8_t* Arena::take(std::size_t num_bytes) {
    const std::size_t rounded = (num_bytes + 63) / 64 * 64;
    if (rounded > left_) {
        left_ = rounded > kChunk ? rounded : kChunk;
        chunks_.push_back(aligned_array<std::uint8_t>(left_));
        next_ = chunks_.back().get();
    }
    std::uint8_t* memory = next_;
    next_ += rounded;
    left_ -= rounded;
    std::memset(memory, 0, rounded);
    return memory;
}

namespace {

int stored_code(const StoredCodes& stored, int output, int input) {
    const std::size_t at = static_cast<std::size_t>(output) * stored.inputs + input;
    if (stored.bits == 8) return static_cast<std::int8_t>(stored.codes[at]);
    const int half = at % 2 == 0 ? stored.codes[at / 2] & 15 : stored.codes[at / 2] >> 4;
    return half >= 8 ? half - 16 : half;
}

// Returns which output a lane of a block holds, or -1 for none.
int output_of(const StoredCodes& stored, bool is_gated, int block, int lane) {
    const int outputs = is_gated ? stored.outputs / 2 : stored.outputs;
    const int output = (is_gated ? block / 2 : block) * kLanes + lane;
    if (output >= outputs) return -1;
    return is_gated && block % 2 == 1 ? outputs + output : output;
}

// AVX2 negates codes of 8 bits, which the smallest one does not survive. Quantising never makes it.
void require_usual_codes(const StoredCodes& stored) {
    const std::size_t count = stored.bits == 8 ? static_cast<std::size_t>(stored.outputs) * stored.inputs : 0;
    if (std::memchr(stored.codes, 0x80, count) != nullptr)
        throw std::invalid_argument("codes of 8 bits must lie between -127 and 127");
}

// Packs the codes of one output, or zeros for none.
void pack_codes(const StoredCodes& stored, const PackedMatrix& packed, int lane, int output, std::uint8_t* codes) {
    if (packed.bits == 8 && output >= 0) {
        const std::uint8_t* row = stored.codes + static_cast<std::size_t>(output) * stored.inputs;
        for (int step = 0; step < stored.inputs / kStepInputs; ++step) {
            std::uint32_t four;
            std::memcpy(&four, row + step * kStepInputs, sizeof four);
            four ^= 0x80808080u;  // adds 128 to each
            std::memcpy(codes + static_cast<std::size_t>(step) * 64 + lane * kStepInputs, &four, sizeof four);
        }
        return;
    }
    for (int input = 0; input < stored.inputs; ++input) {
        const int code = (output < 0 ? 0 : stored_code(stored, output, input)) + packed.offset();
        const int step = input / kStepInputs, inner = lane * kStepInputs + input % kStepInputs;
        if (packed.bits == 8) {
            codes[static_cast<std::size_t>(step) * 64 + inner] = static_cast<std::uint8_t>(code);
        } else {
            codes[static_cast<std::size_t>(step / 2) * 64 + inner] |=
                static_cast<std::uint8_t>(step % 2 == 0 ? code : code << 4);
        }
    }
}

}  // namespace

PackedMatrix pack(const StoredCodes& stored, bool is_gated, Arena& arena) {
    if (stored.bits != 8 && stored.bits != 4) throw std::invalid_argument("codes must have 8 or 4 bits");
    if (stored.group % 8 != 0 || stored.inputs % stored.group != 0)
        throw std::invalid_argument("groups must have a multiple of 8 inputs and divide a row");
    if (is_gated && stored.outputs % (2 * kLanes) != 0)
        throw std::invalid_argument("gated outputs must be a multiple of 16");
    require_usual_codes(stored);
    PackedMatrix packed;
    packed.outputs = stored.outputs;
    packed.inputs = stored.inputs;
    packed.group = stored.group;
    packed.bits = stored.bits;
    packed.blocks = (stored.outputs + kLanes - 1) / kLanes;
    const std::size_t num_groups = packed.groups();
    std::uint8_t* codes = arena.take(packed.blocks * packed.block_bytes());
    auto* scales = reinterpret_cast<std::uint16_t*>(
        arena.take(packed.blocks * num_groups * kLanes * sizeof(std::uint16_t)));
    for (int block = 0; block < packed.blocks; ++block)
        for (int lane = 0; lane < kLanes; ++lane) {
            const int output = output_of(stored, is_gated, block, lane);
            pack_codes(stored, packed, lane, output, codes + block * packed.block_bytes());
            for (std::size_t group = 0; group < num_groups && output >= 0; ++group)
                scales[(block * num_groups + group) * kLanes + lane] = stored.scales[output * num_groups + group];
        }
    packed.codes = codes;
    packed.scales = scales;
    return packed;
}

}  // namespace smallsight
