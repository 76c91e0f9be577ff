#include "ttwitter_protocol.h"

#include <thrift/TApplicationException.h>

namespace trestle::peers {

using apache::thrift::protocol::TMessageType;
using apache::thrift::protocol::TType;

bool TTwitterProtocol::Upgrade() {
  plain_->writeMessageBegin("__can__finagle__trace__v3__", apache::thrift::protocol::T_CALL, 0);
  plain_->writeStructBegin("ConnectionOptions");
  plain_->writeFieldStop();
  plain_->writeStructEnd();
  plain_->writeMessageEnd();
  plain_->getTransport()->writeEnd();
  plain_->getTransport()->flush();

  std::string name;
  TMessageType type{};
  int32_t seqid = 0;
  plain_->readMessageBegin(name, type, seqid);
  plain_->skip(apache::thrift::protocol::T_STRUCT);
  plain_->readMessageEnd();
  plain_->getTransport()->readEnd();
  upgraded_ = type != apache::thrift::protocol::T_EXCEPTION;
  return upgraded_;
}

uint32_t TTwitterProtocol::writeMessageBegin_virt(const std::string& name, TMessageType type,
                                                  int32_t seqid) {
  if (upgraded_) WriteHeader();
  return plain_->writeMessageBegin(name, type, seqid);
}

uint32_t TTwitterProtocol::readMessageBegin_virt(std::string& name, TMessageType& type,
                                                 int32_t& seqid) {
  if (upgraded_) plain_->skip(apache::thrift::protocol::T_STRUCT);
  return plain_->readMessageBegin(name, type, seqid);
}

void TTwitterProtocol::WriteString(int16_t id, const std::string& value) {
  plain_->writeFieldBegin("", apache::thrift::protocol::T_STRING, id);
  plain_->writeString(value);
  plain_->writeFieldEnd();
}

// The fields in the order in which Finagle writes them.
void TTwitterProtocol::WriteHeader() {
  plain_->writeStructBegin("RequestHeader");
  for (const int16_t id : {1, 2}) {  // trace_id, span_id
    plain_->writeFieldBegin("", apache::thrift::protocol::T_I64, id);
    plain_->writeI64(header_.trace_id);
    plain_->writeFieldEnd();
  }
  if (!header_.client_id.empty()) {
    plain_->writeFieldBegin("client_id", apache::thrift::protocol::T_STRUCT, 6);
    plain_->writeStructBegin("ClientId");
    WriteString(1, header_.client_id);
    plain_->writeFieldStop();
    plain_->writeStructEnd();
    plain_->writeFieldEnd();
  }
  plain_->writeFieldBegin("contexts", apache::thrift::protocol::T_LIST, 8);
  plain_->writeListBegin(apache::thrift::protocol::T_STRUCT, 0);
  plain_->writeListEnd();
  plain_->writeFieldEnd();
  if (!header_.dest.empty()) WriteString(9, header_.dest);
  if (!header_.delegations.empty()) {
    plain_->writeFieldBegin("delegations", apache::thrift::protocol::T_LIST, 10);
    plain_->writeListBegin(apache::thrift::protocol::T_STRUCT,
                           static_cast<uint32_t>(header_.delegations.size()));
    for (const auto& [prefix, destination] : header_.delegations) {
      plain_->writeStructBegin("Delegation");
      WriteString(1, prefix);
      WriteString(2, destination);
      plain_->writeFieldStop();
      plain_->writeStructEnd();
    }
    plain_->writeListEnd();
    plain_->writeFieldEnd();
  }
  plain_->writeFieldStop();
  plain_->writeStructEnd();
}

}  // namespace trestle::peers
