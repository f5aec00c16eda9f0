// Threads that stay for the lifetime of a decoder and run one function together, meeting between its parts.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace smallsight {

class ThreadTeam {
   public:
    // Runs `work(thread)` in every thread; the caller is thread 0.
    ThreadTeam(int threads, std::function<void(int)> work);
    ~ThreadTeam();
    ThreadTeam(const ThreadTeam&) = delete;
    ThreadTeam& operator=(const ThreadTeam&) = delete;

    int size() const { return threads_; }

    // Runs the work once; returns when every thread has ended it.
    void run();

    // Waits, inside the work, until all threads are here.
    void meet();

    // Returns the first of this thread's units among `count`; those of `thread + 1` begin where these end.
    int begin_of(int count, int thread) const {
        return static_cast<int>(static_cast<long long>(count) * thread / threads_);
    }

   private:
    void live(int thread);
    bool wait_for_work(unsigned seen);

    const int threads_;
    const std::function<void(int)> work_;
    alignas(64) std::atomic<int> arrived_{0};
    alignas(64) std::atomic<unsigned> phase_{0};
    alignas(64) std::atomic<unsigned> started_{0};
    std::atomic<int> sleeping_{0};
    std::atomic<bool> is_over_{false};
    std::mutex mutex_;
    std::condition_variable woken_;
    std::vector<std::thread> others_;
};

}  // namespace smallsight
