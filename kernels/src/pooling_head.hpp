// SigLIP's pooling head: from the normalised hidden states of a picture's patches to its vector.
#pragma once

#include <cstdint>
#include <vector>

#include "kernel_path.hpp"
#include "packed_matrix.hpp"

namespace smallsight {

struct PoolingShape {
    int hidden;
    int ffn;
    int heads;
    int patches;
    float epsilon;
};

// The one query is the same for all pictures. So what it multiplies keys by is known beforehand, and the patches are
// pooled before they are multiplied, once for each head.
class PoolingHead {
   public:
    // Checks sizes; throws std::invalid_argument.
    PoolingHead(const PoolingShape& shape, const KernelPath* path);
    PoolingHead(const PoolingHead&) = delete;
    PoolingHead& operator=(const PoolingHead&) = delete;

    const PoolingShape& shape() const { return shape_; }
    const char* path_name() const { return path_->name; }
    std::size_t weight_bytes() const;

    // The matrices are values, output, up and down, in this order.
    int inputs_of(int index) const { return index == 3 ? shape_.ffn : shape_.hidden; }
    int outputs_of(int index) const { return index == 2 ? shape_.ffn : shape_.hidden; }

    // `queries` is [heads][hidden], scaled.
    void set_queries(const float* queries);
    void set_norm(const float* weight, const float* bias);
    // `codes` is [outputs][inputs], `scales` [outputs][inputs / group].
    void set_codes(int index, const std::int8_t* codes, const float* scales, int group, const float* bias);
    // `bits` is [outputs][inputs], bfloat16.
    void set_halves(int index, const std::uint16_t* bits, const float* bias);

    // Writes the vector of `hidden` [patches][hidden], of length 1, to `out` [hidden]. Any number of threads may call it.
    void run(const float* hidden, float* out) const;

   private:
    void set_bias(int index, const float* bias);
    float* floats(std::size_t count) { return reinterpret_cast<float*>(arena_.take(count * sizeof(float))); }

    const PoolingShape shape_;
    const KernelPath* const path_;
    Arena arena_;
    std::vector<float> queries_, norm_weight_, norm_bias_;
    RowMatrix matrices_[4];
};

}  // namespace smallsight
