#include "picture_resize.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <thread>
#include <vector>

#if defined(SMALLSIGHT_X86)
#include <emmintrin.h>
#endif

namespace smallsight {

namespace {

constexpr double kLobes = 3.0;
constexpr double kPi = 3.14159265358979323846;
constexpr int kStripRows = 16;  // whose width is resized together
constexpr int kRowsAtOnce = 8;  // of the result, in one unit of work

double sinc(double x) { return x == 0.0 ? 1.0 : std::sin(x * kPi) / (x * kPi); }

double lanczos(double x) { return -kLobes <= x && x < kLobes ? sinc(x) * sinc(x / kLobes) : 0.0; }

// Cubic pieces with a slope of -1/2 at a distance of 1.
double bicubic(double x) {
    constexpr double kSlope = -0.5;
    const double far = std::fabs(x);
    if (far < 1.0) return ((kSlope + 2.0) * far - (kSlope + 3.0)) * far * far + 1.0;
    return far < 2.0 ? (((far - 5.0) * far + 8.0) * far - 4.0) * kSlope : 0.0;
}

// Which inputs an output sums, and their weights.
class Window {
   public:
    Window(int inputs, int outputs, Filter filter) : first_(outputs), taps_(outputs) {
        const bool is_lanczos = filter == Filter::kLanczos;
        const double scale = static_cast<double>(inputs) / outputs, stretch = std::max(scale, 1.0);
        const double support = (is_lanczos ? kLobes : 2.0) * stretch;
        most_ = static_cast<int>(std::ceil(support)) * 2 + 1;
        weights_.resize(static_cast<std::size_t>(outputs) * most_);
        std::vector<double> exact(most_);
        for (int output = 0; output < outputs; ++output) {
            const double centre = (output + 0.5) * scale;
            first_[output] = std::max(0, static_cast<int>(centre - support + 0.5));
            taps_[output] = std::min(inputs, static_cast<int>(centre + support + 0.5)) - first_[output];
            double total = 0.0;
            for (int tap = 0; tap < taps_[output]; ++tap) {
                const double far = (tap + first_[output] - centre + 0.5) * (1.0 / stretch);
                exact[tap] = is_lanczos ? lanczos(far) : bicubic(far);
                total += exact[tap];
            }
            for (int tap = 0; tap < taps_[output]; ++tap) {
                const double scaled = (total != 0.0 ? exact[tap] / total : exact[tap]) * (1 << kWeightBits);
                weights_[static_cast<std::size_t>(output) * most_ + tap] =
                    static_cast<std::int32_t>(scaled < 0 ? scaled - 0.5 : scaled + 0.5);
            }
        }
    }

    int first(int output) const { return first_[output]; }
    WeightedBytes bytes(int output, const std::uint8_t* from, std::size_t stride) const {
        return {from, stride, weights_.data() + static_cast<std::size_t>(output) * most_, taps_[output]};
    }

   private:
    int most_;
    std::vector<int> first_, taps_;
    std::vector<std::int32_t> weights_;
};

// Computes units [0, count) on several threads.
template <typename Unit>
void share(int count, int threads, Unit&& compute) {
    std::atomic<int> next{0};
    const auto work = [&] {
        for (int unit = next.fetch_add(1); unit < count; unit = next.fetch_add(1)) compute(unit);
    };
    std::vector<std::thread> others;
    for (int thread = 1; thread < std::min(threads, count); ++thread) others.emplace_back(work);
    work();
    for (std::thread& other : others) other.join();
}

#if defined(SMALLSIGHT_X86)
// Exchanges rows and columns of 16 x 16 bytes: interleaving rows that are eight apart, four times.
void turn_square(const std::uint8_t* const* rows, std::uint8_t* const* columns) {
    __m128i now[16], next[16];
    for (int at = 0; at < 16; ++at) now[at] = _mm_loadu_si128(reinterpret_cast<const __m128i*>(rows[at]));
    for (int round = 0; round < 4; ++round) {
        for (int at = 0; at < 8; ++at) {
            next[2 * at] = _mm_unpacklo_epi8(now[at], now[at + 8]);
            next[2 * at + 1] = _mm_unpackhi_epi8(now[at], now[at + 8]);
        }
        std::copy(next, next + 16, now);
    }
    for (int at = 0; at < 16; ++at) _mm_storeu_si128(reinterpret_cast<__m128i*>(columns[at]), now[at]);
}
#else
void turn_square(const std::uint8_t* const* rows, std::uint8_t* const* columns) {
    for (int row = 0; row < 16; ++row)
        for (int column = 0; column < 16; ++column) columns[column][row] = rows[row][column];
}
#endif

// Writes 16 rows of bytes column after column, 16 bytes each. Missing rows repeat the last.
void turn(const std::uint8_t* rows, std::size_t row_bytes, int num_rows, std::uint8_t* columns) {
    const std::uint8_t* from[kStripRows];
    std::uint8_t* to[kStripRows];
    std::size_t done = 0;
    for (; done + kStripRows <= row_bytes; done += kStripRows) {
        for (int at = 0; at < kStripRows; ++at) {
            from[at] = rows + std::min(at, num_rows - 1) * row_bytes + done;
            to[at] = columns + (done + at) * kStripRows;
        }
        turn_square(from, to);
    }
    for (; done < row_bytes; ++done)
        for (int at = 0; at < kStripRows; ++at)
            columns[done * kStripRows + at] = rows[std::min(at, num_rows - 1) * row_bytes + done];
}

// The reverse; rows that are missing are not written.
void turn_back(const std::uint8_t* columns, std::size_t row_bytes, int num_rows, std::uint8_t* rows) {
    const std::uint8_t* from[kStripRows];
    std::uint8_t* to[kStripRows];
    std::uint8_t unused[kStripRows];
    std::size_t done = 0;
    for (; done + kStripRows <= row_bytes; done += kStripRows) {
        for (int at = 0; at < kStripRows; ++at) {
            from[at] = columns + (done + at) * kStripRows;
            to[at] = at < num_rows ? rows + at * row_bytes + done : unused;
        }
        turn_square(from, to);
    }
    for (; done < row_bytes; ++done)
        for (int at = 0; at < num_rows; ++at) rows[at * row_bytes + done] = columns[done * kStripRows + at];
}

void resize_width(const Picture& from, const Picture& to, int threads, const KernelPath& path, Filter filter) {
    const Window window(from.width, to.width, filter);
    constexpr std::size_t kPixel = 3 * kStripRows;  // bytes of 16 pixels in a column
    share((from.height + kStripRows - 1) / kStripRows, threads, [&](int strip) {
        thread_local std::vector<std::uint8_t> columns, mixed;
        columns.resize(from.width * kPixel);
        mixed.resize(to.width * kPixel);
        const std::size_t first = static_cast<std::size_t>(strip) * kStripRows;
        const int rows = std::min(kStripRows, from.height - static_cast<int>(first));
        turn(from.pixels + first * from.row_bytes(), from.row_bytes(), rows, columns.data());
        for (int column = 0; column < to.width; ++column)
            path.mix(window.bytes(column, columns.data() + window.first(column) * kPixel, kPixel), kPixel,
                     mixed.data() + column * kPixel);
        turn_back(mixed.data(), to.row_bytes(), rows, to.pixels + first * to.row_bytes());
    });
}

void resize_height(const Picture& from, const Picture& to, int threads, const KernelPath& path, Filter filter) {
    const Window window(from.height, to.height, filter);
    share((to.height + kRowsAtOnce - 1) / kRowsAtOnce, threads, [&](int unit) {
        for (int row = unit * kRowsAtOnce; row < std::min(to.height, (unit + 1) * kRowsAtOnce); ++row)
            path.mix(window.bytes(row, from.pixels + window.first(row) * from.row_bytes(), from.row_bytes()),
                     to.row_bytes(), to.pixels + row * to.row_bytes());
    });
}

}  // namespace

void resize(const Picture& from, const Picture& to, bool height_first, int threads, const KernelPath& path,
            Filter filter) {
    if (from.height == to.height && from.width == to.width) {
        std::memcpy(to.pixels, from.pixels, from.height * from.row_bytes());
    } else if (from.height == to.height) {
        resize_width(from, to, threads, path, filter);
    } else if (from.width == to.width) {
        resize_height(from, to, threads, path, filter);
    } else if (height_first) {
        std::vector<std::uint8_t> low(static_cast<std::size_t>(to.height) * from.row_bytes());
        const Picture between = {low.data(), from.width, to.height};
        resize_height(from, between, threads, path, filter);
        resize_width(between, to, threads, path, filter);
    } else {
        std::vector<std::uint8_t> narrow(static_cast<std::size_t>(from.height) * to.row_bytes());
        const Picture between = {narrow.data(), to.width, from.height};
        resize_width(from, between, threads, path, filter);
        resize_height(between, to, threads, path, filter);
    }
}

}  // namespace smallsight
