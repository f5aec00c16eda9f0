// A quantised matrix in the layout that the products read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace smallsight {

constexpr int kLanes = 16;      // outputs that are computed together
constexpr int kStepInputs = 4;  // inputs that one instruction multiplies

struct AlignedDeleter {
    void operator()(void* memory) const;
};
template <typename T>
using AlignedArray = std::unique_ptr<T[], AlignedDeleter>;

// Allocates memory at a multiple of 64 bytes, with any content.
void* allocate_aligned(std::size_t num_bytes);
template <typename T>
AlignedArray<T> aligned_array(std::size_t count) {
    return AlignedArray<T>(static_cast<T*>(allocate_aligned(count * sizeof(T))));
}

// Memory for a decoder's matrices, in large pages where the system has them; freed as a whole.
class Arena {
   public:
    // Returns zeroed memory at a multiple of 64 bytes.
    std::uint8_t* take(std::size_t num_bytes);

   private:
    std::vector<AlignedArray<std::uint8_t>> chunks_;
    std::size_t left_ = 0;
    std::uint8_t* next_ = nullptr;
};

// Codes of `outputs` rows with one 16-bit scale per group, as `smallsight.quant.grouped` stores them.
struct StoredCodes {
    const std::uint8_t* codes;
    const std::uint16_t* scales;
    int outputs;
    int inputs;
    int group;
    int bits;
};

// Blocks of 16 outputs. In a block, group after group; in a group, steps of four inputs: 64 bytes in 8 bits. In 4
// bits 64 bytes are two steps, the first in the low halves. Codes are unsigned, larger by `offset()`.
struct PackedMatrix {
    int outputs = 0;
    int inputs = 0;
    int group = 0;
    int bits = 0;
    int blocks = 0;
    const std::uint8_t* codes = nullptr;     // in an arena
    const std::uint16_t* scales = nullptr;  // [block][group][16]

    int groups() const { return inputs / group; }
    int offset() const { return bits == 8 ? 128 : 8; }
    std::size_t group_bytes() const { return static_cast<std::size_t>(group) * kLanes * bits / 8; }
    std::size_t block_bytes() const { return group_bytes() * groups(); }
    std::size_t num_bytes() const {
        return blocks * (block_bytes() + static_cast<std::size_t>(groups()) * kLanes * sizeof(std::uint16_t));
    }
};

// Packs a matrix. With `is_gated`, its first half are gates and its second half the values they belong to, and
// blocks of both alternate.
PackedMatrix pack(const StoredCodes& stored, bool is_gated, Arena& arena);

}  // namespace smallsight
