// TTwitterProtocol: Finagle's header extension over a protocol of Apache Thrift. Once a connection
// is upgraded, a RequestHeader struct stands before every message that is sent and a ResponseHeader
// struct before every one that comes back, in the protocol of the connection.
//
// Lifetime: one per connection. Threading: none of its own. Errors: exceptions of Apache Thrift.
#pragma once

#include <thrift/protocol/TProtocolDecorator.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace trestle::peers {

struct RequestHeader {
  int64_t trace_id = 0;
  std::string client_id;
  std::string dest;
  // (prefix, destination) of each entry of the local dtab, in order.
  std::vector<std::pair<std::string, std::string>> delegations;
};

class TTwitterProtocol : public apache::thrift::protocol::TProtocolDecorator {
 public:
  TTwitterProtocol(std::shared_ptr<apache::thrift::protocol::TProtocol> protocol,
                   RequestHeader header)
      : TProtocolDecorator(protocol), plain_(std::move(protocol)), header_(std::move(header)) {}

  // Asks the peer for the upgrade; false if it answers that it does not know it. After that the
  // connection goes on as plain Thrift.
  bool Upgrade();

  uint32_t writeMessageBegin_virt(const std::string& name,
                                  apache::thrift::protocol::TMessageType type,
                                  int32_t seqid) override;
  uint32_t readMessageBegin_virt(std::string& name, apache::thrift::protocol::TMessageType& type,
                                 int32_t& seqid) override;

 private:
  void WriteHeader();
  void WriteString(int16_t id, const std::string& value);

  std::shared_ptr<apache::thrift::protocol::TProtocol> plain_;
  RequestHeader header_;
  bool upgraded_ = false;
};

}  // namespace trestle::peers
