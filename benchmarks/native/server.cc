// The echo service by gRPC's C++ library with its callback API. Writes its address as a line of JSON, and ends when its
// input does.
#include <grpcpp/grpcpp.h>

#include <iostream>
#include <string>

#include "benchmarks/v1/echo.grpc.pb.h"

using benchmarks::v1::Payload;

namespace {

/** The request again, as often as its number says. */
class Download final : public grpc::ServerWriteReactor<Payload> {
 public:
  explicit Download(const Payload* request) : message_(*request), left_(request->number()) { Next(); }
  void OnWriteDone(bool ok) override { ok ? Next() : Finish(grpc::Status::CANCELLED); }
  void OnDone() override { delete this; }

 private:
  void Next() {
    if (left_-- > 0) {
      StartWrite(&message_);
    } else {
      Finish(grpc::Status::OK);
    }
  }

  const Payload message_;
  int64_t left_;
};

/** Counts what comes. */
class Upload final : public grpc::ServerReadReactor<Payload> {
 public:
  explicit Upload(Payload* reply) : reply_(reply) { StartRead(&message_); }
  void OnReadDone(bool ok) override {
    if (ok) {
      ++count_;
      StartRead(&message_);
    } else {
      reply_->set_number(count_);
      Finish(grpc::Status::OK);
    }
  }
  void OnDone() override { delete this; }

 private:
  Payload* const reply_;
  Payload message_;
  uint32_t count_ = 0;
};

/** Each message as it comes. */
class Chat final : public grpc::ServerBidiReactor<Payload, Payload> {
 public:
  Chat() { StartRead(&message_); }
  void OnReadDone(bool ok) override { ok ? StartWrite(&message_) : Finish(grpc::Status::OK); }
  void OnWriteDone(bool ok) override { ok ? StartRead(&message_) : Finish(grpc::Status::CANCELLED); }
  void OnDone() override { delete this; }

 private:
  Payload message_;
};

class Echo final : public benchmarks::v1::Echo::CallbackService {
  grpc::ServerUnaryReactor* Call(grpc::CallbackServerContext* context, const Payload* request,
                                 Payload* reply) override {
    *reply = *request;
    auto* reactor = context->DefaultReactor();
    reactor->Finish(grpc::Status::OK);
    return reactor;
  }
  grpc::ServerWriteReactor<Payload>* Download(grpc::CallbackServerContext*, const Payload* request) override {
    return new ::Download(request);
  }
  grpc::ServerReadReactor<Payload>* Upload(grpc::CallbackServerContext*, Payload* reply) override {
    return new ::Upload(reply);
  }
  grpc::ServerBidiReactor<Payload, Payload>* Chat(grpc::CallbackServerContext*) override { return new ::Chat(); }
};

}  // namespace

int main() {
  Echo service;
  int port = 0;
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&service);
  const auto server = builder.BuildAndStart();
  if (!server) return 1;
  std::cout << "{\"address\":\"127.0.0.1:" << port << "\"}" << std::endl;
  for (std::string line; std::getline(std::cin, line);) std::cout << "{}" << std::endl;
  server->Shutdown(std::chrono::system_clock::now());
}
