#include "pooling_head.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <stdexcept>

namespace smallsight {

namespace {

constexpr float kShortestLength = 1e-12f;
constexpr int kPairLanes = 2 * kLanes;  // inputs of one vector of pairs of bfloat16

std::size_t padded(int count, int multiple) {
    return (static_cast<std::size_t>(count) + multiple - 1) / multiple * multiple;
}

// One caller's memory, with zeros after each vector.
struct Scratch {
    std::vector<float> shares, pooled, joined, attended, normed, inner, added;

    explicit Scratch(const PoolingShape& shape)
        : shares(Pooling::shares_stride(shape.patches) * shape.heads),
          pooled(padded(shape.hidden * shape.heads, kPairLanes)),
          joined(padded(shape.hidden, kPairLanes)),
          attended(joined.size()),
          normed(joined.size()),
          inner(padded(shape.ffn, kPairLanes)),
          added(joined.size()) {}
};

}  // namespace

PoolingHead::PoolingHead(const PoolingShape& shape, const KernelPath* path) : shape_(shape), path_(path) {
    const bool fits = shape.hidden > 0 && shape.hidden % kLanes == 0 && shape.ffn > 0 && shape.ffn % kLanes == 0 &&
                      shape.heads > 0 && shape.hidden % shape.heads == 0 && shape.patches > 0;
    if (!fits) throw std::invalid_argument("sizes must be multiples of 16, and heads share them");
}

std::size_t PoolingHead::weight_bytes() const {
    std::size_t total = 0;
    for (const RowMatrix& matrix : matrices_) {
        const std::size_t count = static_cast<std::size_t>(matrix.outputs) * matrix.inputs;
        total += matrix.codes == nullptr ? count * sizeof(std::uint16_t) : count + count / matrix.group * sizeof(float);
    }
    return total;
}

void PoolingHead::set_queries(const float* queries) {
    queries_.assign(queries, queries + static_cast<std::size_t>(shape_.heads) * shape_.hidden);
}

void PoolingHead::set_norm(const float* weight, const float* bias) {
    norm_weight_.assign(weight, weight + shape_.hidden);
    norm_bias_.assign(bias, bias + shape_.hidden);
}

void PoolingHead::set_codes(int index, const std::int8_t* codes, const float* scales, int group, const float* bias) {
    RowMatrix& matrix = matrices_[index];
    matrix = {outputs_of(index), inputs_of(index), group};
    const std::size_t count = static_cast<std::size_t>(matrix.outputs) * matrix.inputs;
    auto* into = reinterpret_cast<std::int8_t*>(arena_.take(count));
    std::memcpy(into, codes, count);
    float* scales_into = floats(count / group);
    std::copy_n(scales, count / group, scales_into);
    matrix.codes = into;
    matrix.scales = scales_into;
    set_bias(index, bias);
}

void PoolingHead::set_halves(int index, const std::uint16_t* bits, const float* bias) {
    const int inputs = inputs_of(index);
    RowMatrix& matrix = matrices_[index];
    matrix = {outputs_of(index), static_cast<int>(padded(inputs, kPairLanes))};
    auto* into = reinterpret_cast<std::uint16_t*>(
        arena_.take(static_cast<std::size_t>(matrix.outputs) * matrix.inputs * sizeof(std::uint16_t)));
    matrix.halves = into;
    for (int output = 0; output < matrix.outputs; ++output, into += matrix.inputs, bits += inputs)
        for (int input = 0; input < inputs; ++input) {
            const int inside = input % kPairLanes;
            into[input - inside + inside % kLanes * 2 + inside / kLanes] = bits[input];
        }
    set_bias(index, bias);
}

void PoolingHead::set_bias(int index, const float* bias) {
    float* into = floats(static_cast<std::size_t>(outputs_of(index)) + kLanes);
    std::copy_n(bias, outputs_of(index), into);
    matrices_[index].bias = into;
}

void PoolingHead::run(const float* hidden, float* out) const {
    const auto& [values, output, up, down] = matrices_;
    const int size = shape_.hidden / shape_.heads;
    Scratch scratch(shape_);
    path_->pool({queries_.data(), shape_.heads, hidden, shape_.patches, shape_.hidden, scratch.shares.data(),
                 scratch.pooled.data()});
    for (int head = 0; head < shape_.heads; ++head) {
        // Of a copy, which has zeros past its end.
        std::copy_n(scratch.pooled.data() + static_cast<std::size_t>(head) * shape_.hidden, shape_.hidden,
                    scratch.normed.data());
        path_->multiply_vector(values, head * size, (head + 1) * size, scratch.normed.data(),
                               scratch.joined.data() + head * size);
    }
    path_->multiply_vector(output, 0, shape_.hidden, scratch.joined.data(), scratch.attended.data());
    path_->layer_norm(scratch.attended.data(), norm_weight_.data(), norm_bias_.data(), shape_.epsilon, shape_.hidden,
                      scratch.normed.data());
    path_->multiply_vector(up, 0, shape_.ffn, scratch.normed.data(), scratch.inner.data());
    path_->activate(scratch.inner.data(), shape_.ffn);
    path_->multiply_vector(down, 0, shape_.hidden, scratch.inner.data(), scratch.added.data());
    double squares = 0.0;
    for (int at = 0; at < shape_.hidden; ++at) {
        out[at] = scratch.attended[at] + scratch.added[at];
        squares += static_cast<double>(out[at]) * out[at];
    }
    const float length = std::max(static_cast<float>(std::sqrt(squares)), kShortestLength);
    for (int at = 0; at < shape_.hidden; ++at) out[at] /= length;
}

}  // namespace smallsight
