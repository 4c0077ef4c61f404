// Calls the echo service by gRPC's C++ library. Reads commands line by line (`unary CONCURRENCY BYTES MS`, `download`,
// `upload` and `chat BYTES MS`), and answers each with a line of JSON, as the clients in TypeScript do.
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <mutex>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "benchmarks/v1/echo.grpc.pb.h"

using benchmarks::v1::Echo;
using benchmarks::v1::Payload;

namespace {

double NowMs() {
  using namespace std::chrono;
  return duration<double, std::milli>(steady_clock::now().time_since_epoch()).count();
}

void Check(const grpc::Status& status) {
  if (!status.ok()) throw std::runtime_error(status.error_message());
}

Payload MessageOf(int bytes) {
  Payload message;
  if (bytes == 0) {
    message.set_number(4711);
    message.set_text("Ada Lovelace");
  } else {
    message.set_number(1);
    message.set_data(std::string(bytes, 7));
  }
  return message;
}

/** Keeps calls under way for a time, by the callback API. */
class Lanes {
 public:
  Lanes(Echo::Stub* stub, const Payload& request, double end_ms) : stub_(stub), request_(request), end_ms_(end_ms) {}

  int64_t Run(int concurrency) {
    running_ = concurrency;
    for (int lane = 0; lane < concurrency; ++lane) Begin();
    std::unique_lock lock(mutex_);
    done_.wait(lock, [this] { return running_ == 0; });
    Check(failure_);
    return count_;
  }

 private:
  struct Call {
    grpc::ClientContext context;
    Payload reply;
  };

  void Begin() {
    auto call = std::make_shared<Call>();
    stub_->async()->Call(&call->context, &request_, &call->reply, [this, call](const grpc::Status& status) {
      ++count_;
      if (status.ok() && NowMs() < end_ms_) return Begin();
      const std::lock_guard lock(mutex_);
      if (!status.ok()) failure_ = status;
      if (--running_ == 0) done_.notify_one();
    });
  }

  Echo::Stub* const stub_;
  const Payload& request_;
  const double end_ms_;
  std::atomic<int64_t> count_ = 0;
  std::mutex mutex_;
  std::condition_variable done_;
  int running_ = 0;
  grpc::Status failure_;
};

std::string Answer(int64_t count, double elapsed_ms, const std::string& more = "") {
  std::ostringstream text;
  text << "{\"count\":" << count << ",\"elapsedMs\":" << elapsed_ms << more << "}";
  return text.str();
}

/** One call at a time is what the synchronous API is for. */
std::string OneAtATime(Echo::Stub* stub, const Payload& request, double slice_ms) {
  std::vector<double> latencies;
  const double begun = NowMs();
  for (double before = begun; before - begun < slice_ms;) {
    grpc::ClientContext context;
    Payload reply;
    Check(stub->Call(&context, request, &reply));
    const double after = NowMs();
    latencies.push_back(after - before);
    before = after;
  }
  const double elapsed = NowMs() - begun;
  std::sort(latencies.begin(), latencies.end());
  const auto at = [&](double part) { return latencies[static_cast<size_t>((latencies.size() - 1) * part)] * 1000; };
  std::ostringstream more;
  more << ",\"p50Us\":" << at(0.5) << ",\"p99Us\":" << at(0.99);
  return Answer(latencies.size(), elapsed, more.str());
}

void Stream(Echo::Stub* stub, const std::string& kind, Payload message, int64_t count) {
  grpc::ClientContext context;
  Payload reply;
  if (kind == "download") {
    message.set_number(count);
    const auto stream = stub->Download(&context, message);
    while (stream->Read(&reply)) continue;
    return Check(stream->Finish());
  }
  if (kind == "upload") {
    const auto stream = stub->Upload(&context, &reply);
    while (count-- > 0 && stream->Write(message)) continue;
    stream->WritesDone();
    return Check(stream->Finish());
  }
  const auto stream = stub->Chat(&context);
  std::thread writer([&] {
    while (count-- > 0 && stream->Write(message)) continue;
    stream->WritesDone();
  });
  while (stream->Read(&reply)) continue;
  writer.join();
  Check(stream->Finish());
}

/** A run is one stream that takes about the time wanted, judging by those before. */
std::string Streamed(Echo::Stub* stub, const std::string& kind, int bytes, double slice_ms) {
  static std::map<std::string, double> rates;
  double& rate = rates[kind + std::to_string(bytes)];
  const Payload message = MessageOf(bytes);
  int64_t total = 0;
  double spent = 0;
  int64_t count = std::max<int64_t>(16, rate * slice_ms);
  while (spent < slice_ms * 0.8) {
    const double begun = NowMs();
    Stream(stub, kind, message, count);
    const double took = NowMs() - begun;
    total += count;
    spent += took;
    rate = count / took;
    count = std::max<int64_t>(1, rate * std::min(std::max(slice_ms - spent, 1.0), took * 8));
  }
  return Answer(total, spent);
}

std::string Do(Echo::Stub* stub, std::istringstream words) {
  std::string command;
  words >> command;
  if (command != "unary") {
    int bytes = 0;
    double slice_ms = 0;
    words >> bytes >> slice_ms;
    return Streamed(stub, command, bytes, slice_ms);
  }
  int concurrency = 0;
  int bytes = 0;
  double slice_ms = 0;
  words >> concurrency >> bytes >> slice_ms;
  const Payload request = MessageOf(bytes);
  if (concurrency == 1) return OneAtATime(stub, request, slice_ms);
  const double begun = NowMs();
  const int64_t count = Lanes(stub, request, begun + slice_ms).Run(concurrency);
  return Answer(count, NowMs() - begun);
}

}  // namespace

int main(int, char** argv) {
  const auto stub = Echo::NewStub(grpc::CreateChannel(argv[1], grpc::InsecureChannelCredentials()));
  OneAtATime(stub.get(), MessageOf(0), 1);
  std::cout << "{}" << std::endl;
  for (std::string line; std::getline(std::cin, line);) std::cout << Do(stub.get(), std::istringstream(line)) << std::endl;
}
