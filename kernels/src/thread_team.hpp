// Threads that stay for the lifetime of a decoder and share the parts of its steps.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace smallsight {

// One thread's way through the parts, in the same order as all others.
struct Turn {
    int thread = 0;
    std::uint32_t part = 0;
};

// A part consists of units that any thread may take, and is over when all are done. So nobody waits for a thread
// that the system has not scheduled, unless it stopped within a unit: on a busy machine the others do its work.
class ThreadTeam {
   public:
    // Runs `work` in every thread; the caller of `run` is thread 0. A late thread may still be in the work of an
    // earlier run, where it finds every part over.
    ThreadTeam(int threads, std::function<void(Turn&)> work);
    ~ThreadTeam();
    ThreadTeam(const ThreadTeam&) = delete;
    ThreadTeam& operator=(const ThreadTeam&) = delete;

    int size() const { return threads_; }

    // Runs the work once; returns when all its parts are over.
    void run();

    // Takes units of the next part, which has `count()` and at least one, until it is over. Inside the work only.
    // A late thread may call `count` when its part is over, and then whatever it returns is ignored.
    template <typename Count, typename Unit>
    void share(Turn& turn, Count&& count_units, Unit&& compute) {
        for (int spins = 0;;) {
            std::uint64_t state = state_.load(std::memory_order_acquire);
            if (static_cast<std::uint32_t>(state >> 32) != turn.part) break;
            const int unit = static_cast<int>(state & 0xffffffffu), count = count_units();
            if (unit >= count) {
                wait(++spins);
            } else if (state_.compare_exchange_weak(state, state + 1, std::memory_order_acq_rel)) {
                compute(unit);
                if (done_.fetch_add(1, std::memory_order_acq_rel) == count - 1) {
                    done_.store(0, std::memory_order_relaxed);
                    state_.store(static_cast<std::uint64_t>(turn.part + 1) << 32, std::memory_order_release);
                }
            }
        }
        ++turn.part;
    }

   private:
    static void wait(int spins);
    void live(int thread);
    bool wait_for_work(unsigned seen);

    const int threads_;
    const std::function<void(Turn&)> work_;
    alignas(64) std::atomic<std::uint64_t> state_{0};  // the current part, and its next unit
    alignas(64) std::atomic<int> done_{0};             // units of the current part
    alignas(64) std::atomic<unsigned> started_{0};
    std::atomic<int> sleeping_{0};
    std::atomic<bool> is_over_{false};
    Turn caller_;
    std::mutex mutex_;
    std::condition_variable woken_;
    std::vector<std::thread> others_;
};

}  // namespace smallsight
