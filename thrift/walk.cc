#include "thrift/walk.h"

#include "thrift/reader.h"

namespace trestle::thrift {

DecodeResult SkipStruct(Protocol protocol, std::string_view bytes, uint32_t* size) {
  Reader reader(protocol, bytes, INT32_MAX);
  if (reader.SkipFields(1)) *size = reader.at();
  return reader.result();
}

}  // namespace trestle::thrift
