// Attention in AMX tiles; included like amx_tiles_body.hpp, after it and encoder_vectors_body.hpp.

constexpr int kChunkPanels = 8;  // of keys: their shares stay in the L1 cache
constexpr int kLeastOverlapped = 6;  // panels of a chunk of which the last two have shares just in time
// Of a score: what is 1 in its 16 bits. Scores of 2**23 and more, which no tower has, would count as none.
constexpr float kScoreUnits = 256.0f;

// The low bytes of 1 - (1 + x - 2**x) in bfloat16, for x = (part + 0.375) / 64.
alignas(64) constexpr std::uint8_t kCurve[64] = {
    128, 127, 127, 126, 126, 125, 125, 124, 124, 123, 123, 122, 122, 121, 121, 121,
    120, 120, 120, 119, 119, 119, 119, 118, 118, 118, 118, 118, 118, 117, 117, 117,
    117, 117, 117, 117, 117, 117, 117, 118, 118, 118, 118, 118, 118, 119, 119, 119,
    120, 120, 120, 121, 121, 122, 122, 123, 123, 124, 124, 125, 126, 126, 127, 128};

// 2**(x / 256) in bfloat16 for 32 numbers of 16 bits, 0 where it is below 2**-127; relative error 1 % at most.
struct HalfPowers {
    const __m512i curve = _mm512_load_si512(kCurve);
    const __m512i one = _mm512_set1_epi16(0x3f80);

    __m512i operator()(__m512i x) const {
        constexpr __mmask64 kLowBytes = 0x5555555555555555ull;
        const __m512i bent = _mm512_mask_permutexvar_epi8(one, kLowBytes, _mm512_srli_epi16(x, 2), curve);
        return _mm512_max_epi16(_mm512_add_epi16(_mm512_srai_epi16(x, 1), bent), _mm512_setzero_si512());
    }
};

// What one step of attention leaves for the next: scores of two panels of keys, a chunk's shares, and sums over all
// chunks.
struct alignas(64) AttentionBuffers {
    Sums scores[2];
    std::uint8_t shares[kChunkPanels * 2 * kTileBytes];
    Sums weighted[kMostHead / kPanel];
    float totals[kPanel][16];  // a query's 16 are equal
    std::uint16_t ones[kTileBytes / 2];
};

// The attention of one head for 32 queries, chunk by chunk of keys. `kSteps` of 32 dimensions, or 0 for any number.
template <int kSteps>
class AttentionOfPanel {
   public:
    explicit AttentionOfPanel(const HeadAttention& head) : head_(head) {
        for (auto& one : buffers_.ones) one = 0x3f80;
    }

    // Finds each query's largest score.
    void find_largest(float* largest) {
        __m512 most[kPanel];
        for (auto& one : most) one = _mm512_set1_ps(kNever);
        for (int panel = 0; panel < head_.key_panels(); ++panel) {
            clear_sums();
            for (int step = 0; step < steps(); ++step) add_step<Number::kBf16>(queries(step), keys(panel, step), kNothing);
            store_last(panel);
            for (int row = 0; row < kPanel; ++row) {
                const float* found = scores_of(panel) + sums_of(row);
                most[row] = _mm512_max_ps(most[row], _mm512_load_ps(found));
                most[row] = _mm512_max_ps(most[row], _mm512_load_ps(found + kTileValues));
            }
        }
        for (int row = 0; row < kPanel; ++row) largest[row] = _mm512_reduce_max_ps(most[row]);
    }

    // Weighs the values by shares relative to `largest`, or as they are without it.
    template <bool kIsRelative>
    void weigh(const float* largest) {
        for (int first = 0; first < head_.key_panels(); first += kChunkPanels) weigh_chunk<kIsRelative>(first, largest);
    }

    bool fits() const {
        for (const auto& total : buffers_.totals)
            if (!(kLeastSum < total[0] && total[0] < kMostSum)) return false;
        return true;
    }

    void write() const {
        for (int row = 0; row < kPanel; ++row) {
            const __m512 inverse = _mm512_div_ps(_mm512_set1_ps(1.0f), _mm512_load_ps(buffers_.totals[row]));
            float* out = head_.out + row * head_.stride;
            for (int step = 0; step < steps(); ++step)
                for (int half = 0; half < 2; ++half, out += 16) {
                    const float* found = buffers_.weighted[step].real + sums_of(row) + half * kTileValues;
                    _mm512_storeu_ps(out, _mm512_mul_ps(_mm512_load_ps(found), inverse));
                }
        }
    }

   private:
    int steps() const { return kSteps > 0 ? kSteps : head_.dims / 32; }
    const std::uint8_t* queries(int step) const { return head_.queries + step * 2 * kTileBytes; }
    const std::uint8_t* keys(int panel, int step) const {
        return head_.keys + (static_cast<std::size_t>(panel) * steps() + step) * 2 * kTileBytes;
    }
    const std::uint8_t* values(int panel, int dims) const {
        return head_.values + (static_cast<std::size_t>(dims) * head_.key_panels() + panel) * 2 * kTileBytes;
    }
    std::uint8_t* shares(int place) { return buffers_.shares + place * 2 * kTileBytes; }
    const float* scores_of(int panel) const { return buffers_.scores[panel % 2].real; }

    // Scores of a panel leave the tiles while those of the next are computed, and become shares during the one after.
    template <bool kIsRelative>
    void weigh_chunk(int first, const float* largest) {
        const int panels = head_.key_panels(), end = first + kChunkPanels < panels ? first + kChunkPanels : panels;
        const HalfPowers powers;
        const auto share = [&](int panel, int begin, int count) {
            share_rows<kIsRelative>(panel, shares(panel - first), begin, count, largest, powers);
        };
        for (int panel = first; panel < end; ++panel) {
            const auto between = [&](int step, int part) {
                const int slots = 4 * steps(), slot = 4 * step + part;
                const int begin = kPanel * slot / slots, last = kPanel * (slot + 1) / slots;
                if (panel - 2 >= first) share(panel - 2, begin, last - begin);
            };
            begin_sums<Number::kBf16>(queries(0), keys(panel, 0), buffers_.scores[(panel + 1) % 2], [&](int part) { between(0, part); });
            for (int step = 1; step < steps(); ++step)
                add_step<Number::kBf16>(queries(step), keys(panel, step), [&](int part) { between(step, part); });
        }
        store_last(end - 1);
        const bool overlaps = end - first >= kLeastOverlapped;
        for (int panel = first > end - 2 ? first : end - 2; panel < end && !overlaps; ++panel) share(panel, 0, kPanel);
        for (int dims = 0; dims < steps(); ++dims) {
            Sums& sums = buffers_.weighted[dims];
            first == 0 ? clear_sums() : load_sums(sums);
            for (int panel = first; panel < end; ++panel) {
                const int ready = panel - first;  // two steps for each of the last two panels
                add_step<Number::kBf16>(shares(ready), values(panel, dims), [&](int part) {
                    if (overlaps && dims == 0 && ready < 4) share(end - 2 + ready / 2, ready % 2 * 16 + part * 4, 4);
                });
            }
            store_sums(sums);
        }
        add_totals(first, end);
    }

    // Each product of shares with ones is a query's sum, 16 times.
    void add_totals(int first, int end) {
        TILE_LOAD(6, buffers_.ones);
        if (first == 0) {
            TILE_ZERO(0);
            TILE_ZERO(1);
        } else {
            TILE_LOAD(0, buffers_.totals[0]);
            TILE_LOAD(1, buffers_.totals[16]);
        }
        for (int place = 0; place < end - first; ++place) {
            TILE_LOAD(4, shares(place));
            TILE_LOAD(5, shares(place) + kTileBytes);
            TILE_BF16(0, 4, 6);
            TILE_BF16(1, 5, 6);
        }
        TILE_STORE(0, buffers_.totals[0]);
        TILE_STORE(1, buffers_.totals[16]);
    }

    void store_last(int panel) {
        Sums& scores = buffers_.scores[panel % 2];
        store_sums(scores);
        const int count = head_.keys_count - panel * kPanel;
        if (count < kPanel) hide_keys(scores, (1u << count) - 1);
    }

    // Keys that do not exist have no share.
    static void hide_keys(Sums& sums, std::uint32_t keys) {
        const __m512 never = _mm512_set1_ps(kNever);
        for (int row = 0; row < kPanel; ++row)
            for (int half = 0; half < 2; ++half) {
                float* found = sums.real + sums_of(row) + half * kTileValues;
                _mm512_mask_store_ps(found, static_cast<__mmask16>(~keys >> 16 * half), never);
            }
    }

    // Turns some queries' scores of a panel of keys into their shares.
    template <bool kIsRelative>
    void share_rows(int panel, std::uint8_t* to, int begin, int count, const float* largest, const HalfPowers& powers) {
        const float* const scores = scores_of(panel);
        for (int row = begin; row < begin + count; ++row) {
            const float* found = scores + sums_of(row);
            __m512 low = _mm512_load_ps(found), high = _mm512_load_ps(found + kTileValues);
            if (kIsRelative) {
                low = _mm512_sub_ps(low, _mm512_set1_ps(largest[row]));
                high = _mm512_sub_ps(high, _mm512_set1_ps(largest[row]));
            }
            const __m512i units = _mm512_packs_epi32(_mm512_cvtps_epi32(low), _mm512_cvtps_epi32(high));
            _mm512_store_si512(to + row * 64, powers(units));
        }
    }

    const HeadAttention& head_;
    AttentionBuffers buffers_;
};

// Floating point has room for scores as they are: only where a query's largest is beyond it, is it found first.
template <int kSteps>
void attend_steps(const HeadAttention& head) {
    AttentionOfPanel<kSteps> panel(head);
    panel.template weigh<false>(nullptr);
    if (!panel.fits()) {
        float largest[kPanel];
        panel.find_largest(largest);
        panel.template weigh<true>(largest);
    }
    panel.write();
}

void attend(const HeadAttention& head) { head.dims == 64 ? attend_steps<2>(head) : attend_steps<0>(head); }

// Queries, scaled so that scores come in their units.
void store_scaled_queries(const HeadRows& head, float scale) { store_queries(head, scale * kScoreUnits); }

// Values in the order in which scores are narrowed, which keeps blocks of four keys together.
void store_narrowed_values(const HeadRows& head) {
    constexpr int kBlock = 4;
    for (int at = 0; at < head.dims; at += 16) {
        std::uint8_t* to = head.tiles + at / 32 * head.dim_panel_bytes + at % 32 / 16 * kTileBytes;
        for (int place = 0; place < kPanel; place += 2, to += 64) {
            const int block = place / kBlock, key = block % 2 * 16 + block / 2 * kBlock + place % kBlock;
            store_pair(head.values + key * head.stride + at, head.stride, to);
        }
    }
}
