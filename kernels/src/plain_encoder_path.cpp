// The encoder's operations in plain C++: slow, and what the fast path is compared with in tests.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "encoder_path.hpp"

namespace smallsight {

namespace {

float widened(const std::uint8_t* bits) {
    std::uint16_t upper;
    std::memcpy(&upper, bits, sizeof upper);
    const std::uint32_t whole = static_cast<std::uint32_t>(upper) << 16;
    float value;
    std::memcpy(&value, &whole, sizeof value);
    return value;
}

void store_bf16(float value, std::uint8_t* to) {
    std::uint32_t whole;
    std::memcpy(&whole, &value, sizeof whole);
    const auto upper = static_cast<std::uint16_t>((whole + 0x7fff + ((whole >> 16) & 1)) >> 16);
    std::memcpy(to, &upper, sizeof upper);
}

void begin() {}
void end() {}

// Returns where a value lies in panels whose tiles have rows of activations.
std::size_t row_place(int row, int at, int bytes) {
    const int in_tile = 64 / bytes;
    const std::size_t tile = static_cast<std::size_t>(at / in_tile) * 2 + row / 16;
    return tile * kTileBytes + row % 16 * 64 + at % in_tile * bytes;
}

// Returns where a value lies in panels whose tiles have columns of outputs.
std::size_t column_place(int column, int at, int bytes) {
    const int in_tile = 64 / bytes, together = 4 / bytes;
    const std::size_t tile = static_cast<std::size_t>(at / in_tile) * 2 + column / 16;
    return tile * kTileBytes + at % in_tile / together * 64 + column % 16 * 4 + at % together * bytes;
}

float bf16_product(const std::uint8_t* rows, int row, const std::uint8_t* columns, int column, int count) {
    float sum = 0.0f;
    for (int at = 0; at < count; ++at)
        sum += widened(rows + row_place(row, at, 2)) * widened(columns + column_place(column, at, 2));
    return sum;
}

std::int32_t int8_product(const std::uint8_t* rows, int row, const std::uint8_t* columns, int column, int count,
                          int begin = 0) {
    std::int32_t sum = 0;
    for (int at = begin; at < count; ++at)
        sum += rows[row_place(row, at, 1)] * static_cast<std::int8_t>(columns[column_place(column, at, 1)]);
    return sum;
}

// The same, each 64 inputs times their scale.
float grouped_product(const PanelProduct& product, int row, int output) {
    const PanelMatrix& matrix = *product.matrix;
    const int panel = output / kPanel, column = output % kPanel;
    const float* scales = matrix.scales_of_groups(product.segment, panel);
    float sum = 0.0f;
    for (int step = 0; step < matrix.segments.steps; ++step)
        sum += static_cast<float>(int8_product(product.rows.tiles, row, matrix.panel(product.segment, panel), column,
                                               (step + 1) * kStepValues, step * kStepValues)) *
               scales[step * kPanel + column];
    return sum;
}

// The same for codes of 16 bits.
float int16_product(const PanelProduct& product, int row, int output) {
    const PanelMatrix& matrix = *product.matrix;
    const std::uint8_t* columns = matrix.panel(product.segment, output / kPanel);
    const float* scales = matrix.scales_of_groups(product.segment, output / kPanel) + output % kPanel;
    float sum = 0.0f;
    for (int step = 0; step < matrix.segments.steps; ++step) {
        std::int32_t whole = 0;
        for (int at = step * kStepValues; at < (step + 1) * kStepValues; ++at) {
            std::int16_t code;
            std::memcpy(&code, product.rows.tiles + row_place(row, at, 2), sizeof code);
            whole += code * static_cast<std::int8_t>(columns[column_place(output % kPanel, at, 1)]);
        }
        sum += static_cast<float>(whole) * scales[step * kPanel];
    }
    return sum * product.rows.scales[row];
}

// The same for codes of 7 bits, where each 64 inputs of a row have a scale and a zero, too.
float int7_product(const PanelProduct& product, int row, int output) {
    const PanelMatrix& matrix = *product.matrix;
    const int panel = output / kPanel, column = output % kPanel;
    const std::size_t group = matrix.first_group(product.segment, panel) + column;
    float sum = 0.0f;
    for (int step = 0; step < matrix.segments.steps; ++step) {
        const std::int32_t whole = int8_product(product.rows.tiles, row, matrix.panel(product.segment, panel), column,
                                                (step + 1) * kStepValues, step * kStepValues);
        const auto zero = static_cast<std::int32_t>(product.rows.zeros[step * kPanel + row]);
        sum += static_cast<float>(whole + zero * matrix.group_sums[group + step * kPanel]) *
               (product.rows.scales[step * kPanel + row] * matrix.group_scales[group + step * kPanel]);
    }
    return sum;
}

void multiply(const PanelProduct& product) {
    const PanelMatrix& matrix = *product.matrix;
    const int count = matrix.segments.segment_values();
    for (int output = product.begin * kPanel; output < product.end * kPanel; ++output) {
        const std::uint8_t* columns = matrix.panel(product.segment, output / kPanel);
        const std::size_t place = static_cast<std::size_t>(product.segment) * matrix.outputs + output;
        for (int row = 0; row < kPanel; ++row) {
            const int column = output % kPanel;
            float value;
            if (matrix.number == Number::kInt8) {
                const float whole =
                    matrix.group_scales != nullptr
                        ? grouped_product(product, row, output)
                        : static_cast<float>(int8_product(product.rows.tiles, row, columns, column, count));
                value = whole * product.rows.scales[row] * matrix.scales[place] -
                        product.rows.zeros[row] * matrix.weighted_sums[place];
            } else if (matrix.number == Number::kInt7) {
                value = int7_product(product, row, output);
            } else if (matrix.number == Number::kInt16) {
                value = int16_product(product, row, output);
            } else {
                value = bf16_product(product.rows.tiles, row, columns, column, count);
            }
            if (product.segment == 0) value += matrix.bias[output];
            float* out = product.out + row * product.stride + (output - product.begin * kPanel);
            *out = product.adds ? *out + value : value;
        }
    }
}

void norm(const float* values, const float* weight, const float* bias, float epsilon, int size, float* out) {
    double mean = 0.0, variance = 0.0;
    for (int at = 0; at < size; ++at) mean += values[at];
    mean /= size;
    for (int at = 0; at < size; ++at) variance += (values[at] - mean) * (values[at] - mean);
    const double factor = 1.0 / std::sqrt(variance / size + epsilon);
    for (int at = 0; at < size; ++at)
        out[at] = static_cast<float>((values[at] - mean) * factor) * weight[at] + bias[at];
}

double activated(Activation activation, double x) {
    switch (activation) {
        case Activation::kTanhGelu: return 0.5 * x * (1.0 + std::tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)));
        case Activation::kQuickGelu: return x / (1.0 + std::exp(-1.702 * x));
        case Activation::kErfGelu: return 0.5 * x * std::erfc(-0.7071067811865476 * x);
        case Activation::kNone: return x;
    }
    return x;
}

void activate(Activation activation, float* values, int size) {
    for (int at = 0; at < size; ++at) values[at] = static_cast<float>(activated(activation, values[at]));
}

// Packs [begin, end) with codes up to `most`; returns the zero's code.
float pack_codes(const float* values, int begin, int end, int row, float most, const RowPanel& rows, float& scale) {
    const float low = std::min(0.0f, *std::min_element(values + begin, values + end));
    const float range = std::max(0.0f, *std::max_element(values + begin, values + end)) - low;
    const float inverse = range > 0.0f ? most / range : 0.0f;
    const float zero = std::nearbyint(-low * inverse);
    scale = range / most;
    for (int at = begin; at < end; ++at) {
        const float code = std::nearbyint(std::fma(values[at], inverse, zero));
        rows.tiles[row_place(row, at, 1)] = static_cast<std::uint8_t>(std::min(most, std::max(0.0f, code)));
    }
    return zero;
}

void pack_int16(const float* values, int size, int row, const RowPanel& rows) {
    float largest = 0.0f;
    for (int at = 0; at < size; ++at) largest = std::max(largest, std::fabs(values[at]));
    const float inverse = largest > 0.0f ? kMostInt16 / largest : 0.0f;
    rows.scales[row] = largest / kMostInt16;
    for (int at = 0; at < size; ++at) {
        const auto code = static_cast<std::int16_t>(std::nearbyint(values[at] * inverse));
        std::memcpy(rows.tiles + row_place(row, at, 2), &code, sizeof code);
    }
}

void pack(const float* values, int size, int row, Number number, const RowPanel& rows) {
    if (number == Number::kBf16) {
        for (int at = 0; at < size; ++at) store_bf16(values[at], rows.tiles + row_place(row, at, 2));
        return;
    }
    if (number == Number::kInt16) return pack_int16(values, size, row, rows);
    if (number == Number::kInt8) {
        rows.zeros[row] = pack_codes(values, 0, size, row, 255.0f, rows, rows.scales[row]);
        rows.zeros[row] *= rows.scales[row];
        return;
    }
    for (int begin = 0; begin < size; begin += kStepValues) {
        const int place = begin / kStepValues * kPanel + row;
        rows.zeros[place] = pack_codes(values, begin, begin + kStepValues, row, kMostInt7, rows, rows.scales[place]);
    }
}

void store_queries(const HeadRows& head, float scale) {
    for (int row = 0; row < kPanel; ++row)
        for (int at = 0; at < head.dims; ++at)
            store_bf16(head.values[row * head.stride + at] * scale, head.tiles + row_place(row, at, 2));
}

void store_keys(const HeadRows& head) {
    for (int key = 0; key < kPanel; ++key)
        for (int at = 0; at < head.dims; ++at)
            store_bf16(head.values[key * head.stride + at], head.tiles + column_place(key, at, 2));
}

void store_values(const HeadRows& head) {
    for (int key = 0; key < kPanel; ++key)
        for (int at = 0; at < head.dims; ++at)
            store_bf16(head.values[key * head.stride + at],
                       head.tiles + at / 32 * head.dim_panel_bytes + column_place(at % 32, key, 2));
}

void attend(const HeadAttention& head) {
    const int panels = head.key_panels(), keys = panels * kPanel;
    const std::size_t key_panel_bytes = static_cast<std::size_t>(head.dims) * kPanel * 2;
    const std::size_t dim_panel_bytes = static_cast<std::size_t>(panels) * 2 * kTileBytes;
    std::vector<float> scores(keys);
    for (int row = 0; row < kPanel; ++row) {
        for (int key = 0; key < head.keys_count; ++key)
            scores[key] = bf16_product(head.queries, row, head.keys + key / kPanel * key_panel_bytes, key % kPanel,
                                       head.dims);
        const float largest = *std::max_element(scores.begin(), scores.begin() + head.keys_count);
        float sum = 0.0f;
        for (int key = 0; key < keys; ++key) {
            const float share = key < head.keys_count ? std::exp2(scores[key] - largest) : 0.0f;
            sum += share;
            store_bf16(share, head.shares + row_place(row, key, 2));
        }
        for (int at = 0; at < head.dims; ++at)
            head.out[row * head.stride + at] =
                bf16_product(head.shares, row, head.values + at / 32 * dim_panel_bytes, at % 32, keys) / sum;
    }
}

}  // namespace

const EncoderPath* plain_encoder_path() {
    static const EncoderPath path = {"plain", kPanel, true, true, false, false, false, 2, begin, end, multiply, norm, activate,
                                     pack, store_queries, store_keys, store_values, attend};
    return &path;
}

}  // namespace smallsight
