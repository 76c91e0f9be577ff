// TApplicationException {1: string message, 2: i32 type}: what a server answers when it has no
// result.
#include "thrift/message.h"
#include "thrift/reader.h"
#include "thrift/writer.h"

namespace trestle::thrift {

std::string EncodeApplicationException(Protocol protocol, std::string_view name, int32_t seqid,
                                       int32_t type, std::string_view text, bool old_form) {
  std::string out;
  // 24: the heads of both fields, the text's size, the type and the stop byte, in either protocol.
  out.reserve(MaxEnvelopeSize(static_cast<uint32_t>(name.size())) + text.size() + 24);
  out.resize(EnvelopeSize(protocol, name, seqid, old_form));
  EncodeEnvelope(protocol, MessageType::kException, name, seqid, out.data(), old_form);
  Writer writer(protocol, &out);
  writer.Binary(1, text);
  writer.I32(2, type);
  writer.Stop();
  return out;
}

bool DecodeApplicationException(Protocol protocol, std::string_view body, std::string* text,
                                int32_t* type) {
  Reader reader(protocol, body, INT32_MAX);
  Field field;
  std::string_view message;
  int32_t number = 0;
  while (reader.NextField(&field)) {
    if (field.id == 1 && field.type == Type::kBinary) {
      reader.Binary(&message);
    } else if (field.id == 2 && field.type == Type::kI32) {
      reader.I32(&number);
    } else {
      reader.Skip(field, 1);
    }
  }
  if (!reader.ok()) return false;
  text->assign(message);
  *type = number;
  return true;
}

}  // namespace trestle::thrift
