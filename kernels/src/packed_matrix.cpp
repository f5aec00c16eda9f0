#include "packed_matrix.hpp"

#include <cstdlib>
#include <cstring>
#include <new>
#include <stdexcept>

namespace smallsight {

void AlignedDeleter::operator()(void* memory) const { std::free(memory); }

void* allocate_aligned(std::size_t num_bytes) {
    const std::size_t rounded = (num_bytes + 63) / 64 * 64 + 64;  // one line more: reading ahead stays inside
    void* memory = std::aligned_alloc(64, rounded);
    if (memory == nullptr) throw std::bad_alloc();
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

void pack_lane(const StoredCodes& stored, PackedMatrix& packed, int block, int lane, int output) {
    std::uint8_t* codes = packed.codes.get() + block * packed.block_bytes();
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
    for (int group = 0; group < packed.groups(); ++group) {
        packed.scales[(static_cast<std::size_t>(block) * packed.groups() + group) * kLanes + lane] =
            output < 0 ? 0 : stored.scales[static_cast<std::size_t>(output) * packed.groups() + group];
    }
}

}  // namespace

PackedMatrix pack(const StoredCodes& stored, bool is_gated) {
    if (stored.bits != 8 && stored.bits != 4) throw std::invalid_argument("codes must have 8 or 4 bits");
    if (stored.group % 8 != 0 || stored.inputs % stored.group != 0)
        throw std::invalid_argument("groups must have a multiple of 8 inputs and divide a row");
    if (is_gated && stored.outputs % (2 * kLanes) != 0)
        throw std::invalid_argument("gated outputs must be a multiple of 16");
    PackedMatrix packed;
    packed.outputs = stored.outputs;
    packed.inputs = stored.inputs;
    packed.group = stored.group;
    packed.bits = stored.bits;
    packed.blocks = (stored.outputs + kLanes - 1) / kLanes;
    packed.codes = aligned_array<std::uint8_t>(packed.blocks * packed.block_bytes());
    packed.scales = aligned_array<std::uint16_t>(static_cast<std::size_t>(packed.blocks) * packed.groups() * kLanes);
    for (int block = 0; block < packed.blocks; ++block)
        for (int lane = 0; lane < kLanes; ++lane)
            pack_lane(stored, packed, block, lane, output_of(stored, is_gated, block, lane));
    return packed;
}

}  // namespace smallsight
